"""What the log holds of a test of two versions, for whoever decides or looks for drift."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Engine, Select, select

from ratchet.serving.record import first_request_id
from ratchet.serving.tables import open_engine, predictions

if TYPE_CHECKING:
    import pandas as pd

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
    engine = read_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(predictions.c.request_id)).fetchall()
    engine.dispose()
    frame = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(columns))
    for name in set(columns) & set(JSON_COLUMNS):
        frame[name] = _values(frame[name])
    return frame


def _values(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    """Each distinct text is parsed once."""
    known = {text: json.loads(text) for text in texts.dropna().unique()}
    return texts.map(known).astype(object).where(texts.notna(), None)
