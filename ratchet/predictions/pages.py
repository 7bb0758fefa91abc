"""The rows of a log's database, read in pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.errors import InputError
from ratchet.predictions.engine import (
    error_reason,
    open_engine,
    read_engine,
    sqlite_file,
    without_password,
)
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Window

ROWS_PER_PAGE = 2_000  # fit the cache of a core: 10,000 take a third longer


@contextmanager
def open_log(url: str) -> Iterator[Engine]:
    """Open the database of an existing log. Database errors become InputError."""
    name = without_password(url)
    engine = open_engine(url)
    file = sqlite_file(url)
    if file and not file.is_file():  # SQLite would create it
        raise InputError(
            f"{name}: no such file; expected the address of a prediction log. Is RATCHET_LOG_URL"
            " right? If nothing was logged yet, start the service and send requests: make serve"
        )
    engine = read_engine(url)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise InputError(
            f"{name} cannot be read as a prediction log: {error_reason(error)}."
            " Is RATCHET_LOG_URL right, and does a service write there?"
        ) from None
    finally:
        engine.dispose()


def pages(
    engine: Engine, window: Window, columns: Sequence[str], rows: int = ROWS_PER_PAGE
) -> Iterator[list[Any]]:
    """Yield tuples of the columns as the database holds them, in pages sorted by request.

    Each page is a transaction of its own, so a long read does not stop SQLite's checkpoints or
    PostgreSQL's vacuum, and the memory is that of one page.
    """
    ids = predictions.c.request_id
    statement = select(*[predictions.c[name] for name in columns], ids.label("last"))
    statement = statement.where(*window.conditions(), ids > bindparam("after"))
    statement = statement.order_by(ids).limit(rows)
    last = ""
    while True:
        with engine.connect() as connection:
            # The driver's rows: SQLAlchemy's take twice as long.
            cursor: Any = connection.execute(statement, {"after": last}).cursor
            page = cursor.fetchall()
        if page:
            yield page
        if len(page) < rows:
            return
        last = page[-1][-1]
