"""The log as CSV, a page at a time: flat memory, and no reader that holds the database back."""

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from ratchet.predictions.reading import Window, opened_log
from ratchet.predictions.tables import predictions

ROWS_A_PAGE = 2_000
FIRST = ("request_id", "timestamp", "user_id", "variant", "model_version")
LAST = ("prediction", "label")
DETAILS = (
    "model", "prod_version", "staging_version", "assigned_arm", "split", "probabilities",
    "latency_ms", "error", "fallback", "label_time", "shadow_version", "shadow_prediction",
)  # fmt: skip


def csv_pages(
    url: str,
    of: Window | None = None,
    features: Sequence[str] | None = None,
    details: bool = False,
) -> Iterator[str]:
    """Whole lines of text, the header first.

    `features`: the columns, where the caller knows them; otherwise the log is gone through for them
    beforehand. `details` adds what a decision needs to the columns of the contract.
    """
    of = of or Window()
    of = of if of.until is not None else replace(of, until=time.time())
    with opened_log(url) as engine:
        names = list(features) if features is not None else _feature_names(engine, of)
        more = DETAILS if details else ()
        yield _lines([[*FIRST, *names, *LAST, *more]])
        for page in _pages(engine, of):
            yield _lines([_line(row, names, more) for row in page])


def _pages(engine: Engine, of: Window) -> Iterator[Sequence[Any]]:
    """Each a transaction of its own, from where the last one ended."""
    statement = select(predictions).where(*of.conditions()).order_by(predictions.c.request_id)
    last = ""
    while True:
        following = statement.where(predictions.c.request_id > last).limit(ROWS_A_PAGE)
        with engine.connect() as connection:
            page = connection.execute(following).fetchall()
        if page:
            yield page
        if len(page) < ROWS_A_PAGE:
            return
        last = page[-1].request_id


def _feature_names(engine: Engine, of: Window) -> list[str]:
    """All that occur, in the order in which they first do."""
    names: dict[str, None] = {}
    for page in _pages(engine, of):
        for row in page:
            names.update(dict.fromkeys(json.loads(row.features)))
    return list(names)


def _line(row: Any, names: Sequence[str], more: Sequence[str]) -> list[Any]:
    values = json.loads(row.features)
    when = datetime.fromtimestamp(row.time, UTC).isoformat(timespec="microseconds")
    return [
        row.request_id, when, row.user_id, row.arm, row.model_version,
        *[_cell(values.get(name)) for name in names], _parsed(row.prediction), _parsed(row.label),
        *[_cell(getattr(row, name)) for name in more],
    ]  # fmt: skip


def _parsed(text: str | None) -> Any:
    return None if text is None else _cell(json.loads(text))


def _cell(value: Any) -> Any:
    """Truth values as JSON has them; whoever reads CSV here takes that for a boolean."""
    return str(value).lower() if isinstance(value, bool) else value


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
