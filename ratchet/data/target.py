"""The column to predict: its labels, and the errors that keep a classifier from learning it."""

from typing import Any

import numpy as np
import pandas as pd

from ratchet.columns import as_booleans, is_boolean
from ratchet.errors import InputError
from ratchet.progress import print_once
from ratchet.settings import DataSettings

EXACT = 2**53  # floats above it skip whole numbers


def labels_of(column: pd.Series, settings: DataSettings) -> np.ndarray:
    """Return the labels as text, bool or int64; whole floats are integers next to missing values.

    Raise InputError if the labels are not classes that a model can be trained on and tested with.
    """
    where = f"{settings.source}: target '{settings.target}'"
    counts = column.value_counts()
    _require_classes(counts, where)
    if is_boolean(column):
        labels = as_booleans(column).to_numpy(dtype=bool)
    elif pd.api.types.is_numeric_dtype(column):
        labels = _whole_numbers(column, where)
    else:
        spellings = _spellings(counts, settings, where)
        labels = column.astype(object).map(str).replace(spellings).to_numpy(dtype=str)
    _require_two_rows_each(labels, where)
    return labels


def _require_classes(counts: pd.Series, where: str) -> None:
    rows = int(counts.sum())
    if len(counts) > 2 and len(counts) > 0.5 * rows:
        raise InputError(
            f"{where} has {len(counts)} different values in {rows} rows; expected classes, each in"
            " several rows. Is data.target right?"
        )


def _require_two_rows_each(labels: np.ndarray, where: str) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InputError(
            f"{where} has one class only, {_display(classes[0])}; a classifier needs two"
        )
    if counts.min() < 2:
        raise InputError(
            f"{where} has one row of class {_display(classes[counts.argmin()])}; it needs two, one"
            " to learn from and one to test on. Add rows of that class, or delete that row"
        )


def _whole_numbers(column: pd.Series, where: str) -> np.ndarray:
    whole = (column == np.round(column)) & (column.abs() < EXACT)
    if not whole.all():
        raise InputError(
            f"{where} holds {column[~whole].iloc[0]}, which is not a whole number; a class is a"
            " text, a whole number, or true or false"
        )
    return column.to_numpy(dtype="int64")


def _spellings(counts: pd.Series, settings: DataSettings, where: str) -> dict[str, str]:
    """Return what to write for labels that are the same but for white space or case.

    Such labels are an error unless `data.merge_labels` says whether they are one class.
    """
    if settings.merge_labels is False:
        return {}
    alike: dict[str, list[str]] = {}
    for label in map(str, counts.index):  # the most common first
        alike.setdefault(" ".join(label.split()).casefold(), []).append(label)
    several = [labels for labels in alike.values() if len(labels) > 1]
    spelled = "; ".join(
        ", ".join(f"{label!r} ({counts[label]} rows)" for label in labels) for labels in several[:3]
    )
    if several and settings.merge_labels is None:
        raise InputError(
            f"{where} has labels that differ only by white space or case: {spelled}. Set"
            " data.merge_labels to true to make them one class, or to false to keep them apart"
        )
    if several:
        print_once(f"{where}: merged labels that differ only by white space or case: {spelled}")
    return {label: labels[0] for labels in several for label in labels[1:]}


def _display(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)
