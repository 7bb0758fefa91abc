"""The log as CSV text, page by page, in constant memory."""

import csv
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.window import Window

ROWS_PER_PAGE = 2_000
FIRST = ("request_id", "time", "user_id", "arm", "model_version")
FIRST_NAMES = ("request_id", "timestamp", "user_id", "variant", "model_version")
LAST = ("prediction", "label")
DETAILS = (
    "model",
    "prod_version",
    "staging_version",
    "assigned_arm",
    "split",
    "probabilities",
    "latency_ms",
    "error",
    "fallback",
    "label_time",
    "shadow_version",
    "shadow_prediction",
)


def csv_pages(
    url: str,
    window: Window | None = None,
    features: Sequence[str] | None = None,
    details: bool = False,
) -> Iterator[str]:
    """Yield whole lines of text, the header first.

    `features`: the names of the feature columns; None reads the log twice to find them. `details`
    adds the columns that a decision needs.
    """
    window = window or Window()
    window = window if window.until is not None else replace(window, until=time.time())
    with open_log(url) as engine:
        names = list(features) if features is not None else _feature_names(engine, window)
        more = DETAILS if details else ()
        yield _lines([[*FIRST_NAMES, *names, *LAST, *more]])
        columns = (*FIRST, "features", *LAST, *more)
        for page in pages(engine, window, columns, ROWS_PER_PAGE):
            yield _lines([_line(row, names, more) for row in page])


def _feature_names(engine: Engine, window: Window) -> list[str]:
    """Return all feature names in the order in which they first occur."""
    names: dict[str, None] = {}
    for page in pages(engine, window, ("features",), ROWS_PER_PAGE):
        for row in page:
            names.update(dict.fromkeys(json.loads(row[0])))
    return list(names)


def _line(row: Sequence[Any], names: Sequence[str], more: Sequence[str]) -> list[Any]:
    request_id, seconds, user_id, arm, version, features, prediction, label, *others = row
    values = json.loads(features)
    timestamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    details = dict(zip(more, others, strict=False))
    if "fallback" in details:  # SQLite has no boolean
        details["fallback"] = bool(details["fallback"])
    cells = [*map(values.get, names), _parsed(prediction), _parsed(label), *details.values()]
    return [request_id, timestamp, user_id, arm, version, *map(_cell, cells)]


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _cell(value: Any) -> Any:
    """Write booleans as JSON does."""
    return str(value).lower() if isinstance(value, bool) else value


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
