"""The log as CSV text, page by page, in constant memory."""

import csv
import io
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.exports import BROKEN_OFF, LACKS_FEATURES
from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.record import first_request_id, json_text, time_of
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Window

ROWS_PER_PAGE = 2_000
SAMPLES = 50
ROWS_PER_SAMPLE = 20
TRUE, FALSE = "true", "false"
decode = msgspec.json.decode
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
OTHER_FEATURES = "other_features"  # JSON of those that are no columns; only with details


def csv_pages(
    url: str,
    window: Window | None = None,
    features: Sequence[str] | None = None,
    details: bool = False,
) -> Iterator[str]:
    """Yield whole lines of text, the header first.

    `features`: the names of the feature columns; None takes those of a sample of the window.
    `details` adds the columns that a decision needs, and one for features that the sample lacks.
    Without it the last line says that there are such features.

    If the database fails in between, the last line says so and the error is raised: a client that
    does not notice a broken connection would take the part for the whole.
    """
    window = window or Window()
    window = window if window.until is not None else replace(window, until=time.time())
    with open_log(url) as engine:
        names = list(features) if features is not None else _feature_names(engine, window)
        more = DETAILS if details else ()
        yield _lines([[*FIRST_NAMES, *names, *LAST, *more, *([OTHER_FEATURES] if details else [])]])
        columns = (*FIRST, "features", *LAST, *more)
        others = set[str]()
        try:
            for page in pages(engine, window, columns, ROWS_PER_PAGE):
                yield _lines(_rows(page, names, more, others))
        except SQLAlchemyError:
            yield BROKEN_OFF
            raise
    if others and features is None and not details:
        yield LACKS_FEATURES


def _feature_names(engine: Engine, window: Window) -> list[str]:
    """Return the feature names of requests at evenly spaced times, in the order they occur.

    To look at every request would delay the first line of a long log by minutes.
    """
    names: dict[str, None] = {}
    with engine.connect() as connection:
        ids = predictions.c.request_id
        chosen = select(ids).where(*window.conditions()).limit(1)
        first = connection.execute(chosen.order_by(ids)).scalar()
        last = connection.execute(chosen.order_by(ids.desc())).scalar()
        if first is None or last is None:
            return []
        begin, step = time_of(first), (time_of(last) - time_of(first)) / SAMPLES
        for number in range(SAMPLES + 1):
            since = max(first, first_request_id(begin + number * step))
            until = first_request_id(begin + (number + 1) * step + 0.002)
            sample = select(predictions.c.features).where(*window.conditions())
            sample = sample.where(ids >= since, ids < until).order_by(ids).limit(ROWS_PER_SAMPLE)
            for text in connection.execute(sample).scalars():
                names.update(dict.fromkeys(decode(text)))
    return list(names)


def _rows(
    page: Sequence[Any], names: Sequence[str], more: Sequence[str], others: set[str]
) -> Iterator[list[Any]]:
    """Yield lines, and add to `others` the features that are not among the names."""
    known = set(names)
    fallback = len(FIRST) + 3 + more.index("fallback") if more else None
    for row in page:
        request_id, seconds, user_id, arm, version, text, prediction, label, *details = row[:-1]
        features = decode(text)
        if rest := features.keys() - known:
            others |= rest
        timestamp = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
        if fallback:  # SQLite has no boolean
            details[fallback - len(FIRST) - 3] = TRUE if row[fallback] else FALSE
            details.append(json_text({name: features[name] for name in rest}) if rest else None)
        yield [
            request_id,
            timestamp,
            user_id,
            arm,
            version,
            *[_cell(features.get(name)) for name in names],
            _parsed(prediction),
            _parsed(label),
            *details,
        ]


@lru_cache(maxsize=4096)
def _parsed(text: str | None) -> Any:
    return None if text is None else _cell(json.loads(text))


def _cell(value: Any) -> Any:
    """Write booleans as JSON does."""
    return value if not isinstance(value, bool) else TRUE if value else FALSE


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
