"""The rows to send as requests: from the holdout, a file, or a prediction log."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratchet.data.dataset import load
from ratchet.data.split import load_split
from ratchet.errors import InputError, nearest
from ratchet.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

HOLDOUT = "holdout"


@dataclass(frozen=True)
class Rows:
    features: Sequence[dict[str, Any]]
    labels: Sequence[Any]  # a label is None if the request in the log has none
    users: Sequence[str] | None = None  # the user ids of a log; None: users are simulated

    def __len__(self) -> int:
        return len(self.features)


def read_rows(source: str, settings: Settings) -> Rows:
    if source.startswith(("sqlite:", "postgresql")):
        return _rows_of_log(source)
    if source == HOLDOUT:
        features, target = load_split(settings.data).holdout
        return _rows(features, target.tolist())
    table = load(settings.data.model_copy(update={"source": source}))
    return _rows(table.features, table.target.tolist())


def shifted(rows: Rows, shift: str) -> Rows:
    """Return the rows with some columns shifted, for example by "petal_length:1.5,age:2".

    This adds 1.5 standard deviations to the column petal_length of each row, and 2 to age. The
    labels are not changed.
    """
    features = [dict(row) for row in rows.features]
    for part in shift.split(","):
        name, _, amount = part.strip().rpartition(":")
        addition = _amount(shift, amount) * _standard_deviation(features, name)
        for row in features:
            if row[name] is not None:
                row[name] += addition
    return replace(rows, features=features)


def _rows_of_log(url: str) -> Rows:
    from ratchet.predictions.reading import read_log

    frame = read_log(url, columns=("user_id", "features", "label")).frame
    if frame.empty:
        raise InputError(f"The prediction log at {url} is empty; expected requests to send again")
    return Rows(frame["features"].tolist(), frame["label"].tolist(), frame["user_id"].tolist())


def _rows(features: "pd.DataFrame", labels: list[Any]) -> Rows:
    columns = {str(name): map(_json_value, column) for name, column in features.items()}
    rows = zip(*columns.values(), strict=True)
    return Rows([dict(zip(columns, row, strict=True)) for row in rows], labels)


def _json_value(value: Any) -> Any:
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
            f"shift={shift}: expected a column and a number of standard deviations, such as"
            " petal_length:1.5, or several of these separated by commas"
        ) from None


def _standard_deviation(features: Sequence[dict[str, Any]], name: str) -> float:
    import numpy as np

    if name not in features[0]:
        raise InputError(f"shift: there is no column '{name}'; {nearest(name, features[0])}")
    values = [row[name] for row in features if row[name] is not None]
    if not values or not all(isinstance(value, float) for value in values):
        raise InputError(f"shift: column '{name}' is not numeric; choose a numeric column")
    return float(np.std(values))
