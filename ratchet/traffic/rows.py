"""The rows that users send: the holdout, a file, or a log to send again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratchet.data.dataset import load, split
from ratchet.errors import InputError, nearest
from ratchet.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT = "holdout"


@dataclass(frozen=True)
class Rows:
    features: Sequence[dict[str, Any]]
    labels: Sequence[Any]  # None: a log's row that has none
    users: Sequence[str] | None = None  # of a log; who they are is otherwise for us to say

    def __len__(self) -> int:
        return len(self.features)


def read_rows(source: str, settings: Settings) -> Rows:
    if source.startswith(("sqlite:", "postgresql")):
        return _rows_of_log(source)
    if source == HOLDOUT:
        table = load(settings.data)
        in_holdout = split(table, settings.data.holdout, settings.data.seed).in_holdout
        return _rows(table.features[in_holdout], table.target[in_holdout].tolist())
    table = load(settings.data.model_copy(update={"source": source}))
    return _rows(table.features, table.target.tolist())


def shifted(rows: Rows, shift: str) -> Rows:
    """`petal_length:1.5` adds one and a half standard deviations to that column of every row.

    The labels stay, so what a model makes of such rows is what a real drift would do to it.
    """
    features = [dict(row) for row in rows.features]
    for part in shift.split(","):
        name, _, amount = part.strip().rpartition(":")
        by = _amount(shift, amount) * _spread(features, name)
        for row in features:
            if row[name] is not None:
                row[name] += by
    return replace(rows, features=features)


def _rows_of_log(url: str) -> Rows:
    from ratchet.predictions.reading import read_window

    frame = read_window(url, columns=("user_id", "features", "label"))
    if frame.empty:
        raise InputError(f"{url} holds no request; expected a prediction log to send again")
    return Rows(frame["features"].tolist(), frame["label"].tolist(), frame["user_id"].tolist())


def _rows(features: "pd.DataFrame", labels: list[Any]) -> Rows:
    columns = {name: [_plain(value) for value in column] for name, column in features.items()}
    rows = zip(*columns.values(), strict=True)
    return Rows([dict(zip(map(str, columns), row, strict=True)) for row in rows], labels)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if hasattr(value, "isoformat"):
        return None if str(value) == "NaT" else value.isoformat()
    return value.item() if hasattr(value, "item") else value


def _amount(shift: str, amount: str) -> float:
    try:
        return float(amount)
    except ValueError:
        raise InputError(
            f"shift={shift}: expected column:sd, such as petal_length:1.5, or several with commas"
        ) from None


def _spread(features: Sequence[dict[str, Any]], name: str) -> float:
    import numpy as np

    if name not in features[0]:
        raise InputError(f"shift: no column '{name}'; {nearest(name, features[0])}")
    values = [row[name] for row in features if row[name] is not None]
    if not values or not all(isinstance(v, float) for v in values):
        raise InputError(f"shift: column '{name}' holds no numbers; choose one that does")
    return float(np.std(values))
