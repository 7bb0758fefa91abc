"""What a test of two versions left in the log, for whoever decides or looks for drift."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, Select, select

from ratchet.serving.record import first_request_id
from ratchet.serving.tables import open_engine, predictions

if TYPE_CHECKING:
    import pandas as pd

NARROW = (
    "request_id", "time", "user_id", "arm", "assigned_arm", "split", "prediction", "label",
    "label_time", "latency_ms", "error", "fallback",
)  # fmt: skip
JSON_COLUMNS = (
    "features",
    "prediction",
    "probabilities",
    "label",
    "shadow_prediction",
    "shadow_probabilities",
)


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

    engine = open_engine(url)
    statement = window(columns, prod_version, staging_version, since, until, model)
    with engine.execution_options(reads=True).connect() as connection:
        rows = connection.execute(statement.order_by(predictions.c.request_id)).fetchall()
    engine.dispose()
    frame = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(columns))
    for name in set(columns) & set(JSON_COLUMNS):
        frame[name] = _values(frame[name])
    return frame


def window(
    columns: Sequence[str],
    prod_version: str | None,
    staging_version: str | None,
    since: float | None,
    until: float | None,
    model: str | None = None,
) -> "Select[Any]":
    """Time is looked up in the primary key: an id carries its time."""
    found = select(*[predictions.c[name] for name in columns])
    exact = {"prod_version": prod_version, "staging_version": staging_version, "model": model}
    for name, value in exact.items():
        if value is not None:
            found = found.where(predictions.c[name] == value)
    if since is not None:
        found = found.where(predictions.c.request_id >= first_request_id(since))
    if until is not None:
        found = found.where(predictions.c.request_id < first_request_id(until))
    return found


def _values(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    """Each distinct text is parsed once."""
    known = {text: json.loads(text) for text in texts.dropna().unique()}
    return texts.map(known).astype(object).where(texts.notna(), None)


def read_engine(url: str) -> Engine:
    return open_engine(url).execution_options(reads=True)
