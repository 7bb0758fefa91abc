"""What the log holds of a test of two versions, for whoever decides or looks for drift."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, ColumnElement, Connection, Double, Engine, Select, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.errors import InputError
from ratchet.predictions.record import first_request_id
from ratchet.predictions.tables import open_engine, predictions, reason, shown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS_A_PAGE = 10_000
NUMBERS: dict[type, type] = {Double: float, Boolean: bool}

NARROW = (
    "request_id", "time", "user_id", "arm", "assigned_arm", "split", "prediction", "label",
    "label_time", "latency_ms", "error", "fallback",
)  # fmt: skip
JSON_COLUMNS = (
    "features", "prediction", "probabilities", "label", "shadow_prediction", "shadow_probabilities",
)  # fmt: skip


@dataclass(frozen=True)
class Window:
    """Which requests; None does not choose. `until` itself is outside."""

    prod_version: str | None = None
    staging_version: str | None = None
    model_version: str | None = None  # that answered
    model: str | None = None
    since: float | None = None
    until: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Time is looked up in the primary key, which needs no second index: ids carry it."""
        versions = ("prod_version", "staging_version", "model_version", "model")
        found: list[ColumnElement[bool]] = [
            predictions.c[name] == value
            for name in versions
            if (value := getattr(self, name)) is not None
        ]
        if self.since is not None:
            found.append(predictions.c.request_id >= first_request_id(self.since))
        if self.until is not None:
            found.append(predictions.c.request_id < first_request_id(self.until))
        return found


def window(
    columns: Sequence[str],
    prod_version: str | None = None,
    staging_version: str | None = None,
    since: float | None = None,
    until: float | None = None,
    model: str | None = None,
) -> "Select[Any]":
    """In no order."""
    of = Window(prod_version, staging_version, None, model, since, until)
    return select(*[predictions.c[name] for name in columns]).where(*of.conditions())


def read_engine(url: str) -> Engine:
    """For reading alone: its transactions do not ask for SQLite's one write lock."""
    return open_engine(url).execution_options(reads=True)


@contextmanager
def opened_log(url: str) -> Iterator[Engine]:
    """A log that is there: SQLite would make an empty file of a name it does not know."""
    file = make_url(url).database if url.startswith("sqlite") else None
    if file and not Path(file).is_file():
        raise InputError(f"{shown(url)}: no such file; expected the address of a prediction log")
    engine = read_engine(url)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise InputError(
            f"{shown(url)} cannot be read as a prediction log: {reason(error)}"
        ) from None
    finally:
        engine.dispose()


def read_window(
    url: str,
    prod_version: str | None = None,
    staging_version: str | None = None,
    since: float | None = None,
    until: float | None = None,
    columns: Sequence[str] = NARROW,
    model: str | None = None,
) -> "pd.DataFrame":
    """In the order of the requests; predictions and labels as values: "setosa", True, 3, None."""
    import pandas as pd

    statement = window(columns, prod_version, staging_version, since, until, model)
    with opened_log(url) as engine, engine.connect() as connection:
        arrays = _arrays(connection, statement.order_by(predictions.c.request_id), columns)
    for name in set(columns) & set(JSON_COLUMNS):
        arrays[name] = _values(arrays[name])
    # As objects: pandas would make floats of 1 and None, and copy every text into its own kind.
    return pd.DataFrame({name: pd.Series(a, dtype=a.dtype) for name, a in arrays.items()})


def _arrays(
    connection: Connection, statement: "Select[Any]", columns: Sequence[str]
) -> "dict[str, np.ndarray]":
    """A page of rows at a time becomes arrays: a million tuples would keep Python busy counting.

    From the driver itself: SQLAlchemy's rows take as long again.
    """
    import numpy as np

    cursor: Any = connection.execute(statement).cursor
    types = [NUMBERS.get(type(predictions.c[name].type), object) for name in columns]
    pages: list[list[np.ndarray]] = [[np.array([], kind) for kind in types]]
    while rows := cursor.fetchmany(ROWS_A_PAGE):
        values = zip(*rows, strict=True)
        pages.append([np.array(c, kind) for c, kind in zip(values, types, strict=True)])
    parts = zip(*pages, strict=True)
    return {name: np.concatenate(part) for name, part in zip(columns, parts, strict=True)}


def _values(texts: "np.ndarray") -> "np.ndarray":
    """Each distinct text is parsed once."""
    import numpy as np
    import pandas as pd

    codes, known = pd.factorize(texts)
    values = np.empty(len(known) + 1, dtype=object)  # the last, which code -1 finds, stays None
    values[:-1] = [json.loads(text) for text in known]
    return values[codes]
