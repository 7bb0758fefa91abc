"""The columns that split and weigh the rows: times, groups and weights."""

import numpy as np
import pandas as pd

from ratchet.columns import as_kind
from ratchet.errors import InputError
from ratchet.settings import DataSettings


def times_of(frame: pd.DataFrame, settings: DataSettings) -> np.ndarray | None:
    name = settings.split.time_column
    if name is None:
        return None
    column, where = _complete(frame, name, settings.source, "data.split.column")
    try:
        times = as_kind(column, "date").to_numpy()
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{where} does not hold dates: {error}. Name a column of dates, or split by group"
        ) from None
    return times


def groups_of(frame: pd.DataFrame, settings: DataSettings) -> np.ndarray | None:
    """Return a hash for each row, which is the same for all rows of a group and in every format."""
    name = settings.split.group_column
    if name is None:
        return None
    key = "data.split.column" if settings.split.by == "group" else "data.split.group"
    column, _ = _complete(frame, name, settings.source, key)
    codes, values = pd.factorize(column)
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    texts = [repr(float(value)) if is_number else str(value) for value in values]
    return np.asarray(pd.util.hash_array(np.array(texts, dtype=object))[codes])


def weights_of(frame: pd.DataFrame, settings: DataSettings) -> np.ndarray | None:
    name = settings.weight
    if name is None:
        return None
    column, where = _complete(frame, name, settings.source, "data.weight")
    try:
        weights = as_kind(column, "numeric").to_numpy()
    except (ValueError, TypeError) as error:
        raise InputError(f"{where} does not hold numbers: {error}") from None
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise InputError(f"{where} has weights that are negative or infinite, or all are 0")
    return np.asarray(weights)


def _complete(frame: pd.DataFrame, name: str, source: str, key: str) -> tuple[pd.Series, str]:
    """Return the column and its name for messages; raise if a value is missing."""
    column, where = frame[name], f"{source}: column '{name}' ({key})"
    if missing := int(column.isna().sum()):
        raise InputError(
            f"{where} has no value in {missing} of {len(column)} rows; fill them or remove the rows"
        )
    return column, where
