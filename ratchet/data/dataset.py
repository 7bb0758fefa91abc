"""A table ready to learn from, the same split every time, and the sha256 of what training sees."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ratchet.columns import Kind, as_booleans, as_kind, is_boolean, kind_of_values
from ratchet.data import source
from ratchet.errors import InputError, nearest
from ratchet.settings import DataSettings

EXACT = 2**53  # above it floats skip whole numbers


@dataclass(frozen=True)
class Table:
    """The features, with one pandas type a kind (see `ratchet.columns`), and the target."""

    name: str
    features: pd.DataFrame
    target: np.ndarray  # text, bool or int64
    kinds: dict[str, Kind]
    slices: pd.DataFrame  # the columns to report by; a column may be dropped and still slice
    unlabelled: int  # rows left out because their target is missing

    @cached_property
    def classes(self) -> np.ndarray:
        return np.unique(self.target)

    @cached_property
    def row_hashes(self) -> np.ndarray:
        frame = self.features.assign(**{"(target)": self.target})
        return pd.util.hash_pandas_object(frame, index=False).to_numpy()


@dataclass(frozen=True)
class Split:
    table: Table
    in_holdout: np.ndarray
    sha256: str

    @property
    def train(self) -> tuple[pd.DataFrame, np.ndarray]:
        return self._rows(~self.in_holdout)

    @property
    def holdout(self) -> tuple[pd.DataFrame, np.ndarray]:
        return self._rows(self.in_holdout)

    def _rows(self, chosen: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        return self.table.features[chosen].reset_index(drop=True), self.table.target[chosen]


def load(settings: DataSettings) -> Table:
    frame = source.read(settings.source, settings.missing, settings.drop)
    _require_columns(frame, settings)
    labelled = frame[settings.target].notna()
    frame = frame[labelled].reset_index(drop=True)
    target = _target(frame[settings.target], settings)
    slices = frame[list(settings.slices)].astype(str)
    frame = frame.drop(columns=[settings.target, *settings.drop])
    kinds: dict[str, Kind] = {
        name: settings.kinds.get(name) or _kind(frame[name], settings)
        for name in map(str, frame.columns)
    }
    features = pd.DataFrame({name: _canonical(frame[name], kind) for name, kind in kinds.items()})
    table = Table(settings.source, features, target, kinds, slices, int((~labelled).sum()))
    _require_signal(table, settings.target)
    return table


def load_split(settings: DataSettings) -> Split:
    return split(load(settings), settings.holdout, settings.seed)


def split(table: Table, share: float, seed: int) -> Split:
    """Stratified by class, chosen by each row's own hash.

    The order of the rows does not matter, and rows that are added later hardly move the others.
    Every class keeps a row on each side.
    """
    repeats = pd.Series(table.row_hashes).groupby(table.row_hashes).cumcount().to_numpy()
    keys = _mix(table.row_hashes, seed) ^ _mix(repeats.astype("uint64"), seed)
    in_holdout = np.zeros(len(keys), dtype=bool)
    for label in table.classes:
        rows = np.flatnonzero(table.target == label)
        wanted = min(max(1, round(len(rows) * share)), len(rows) - 1)
        in_holdout[rows[np.argsort(keys[rows], kind="stable")[:wanted]]] = True
    return Split(table, in_holdout, _sha256(table, in_holdout))


def _mix(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Each hash, turned into another by the seed (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = hashes ^ (np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sha256(table: Table, in_holdout: np.ndarray) -> str:
    """Of the content: the same table as CSV or as Parquet has the same digest."""
    digest = hashlib.sha256(repr(list(table.kinds.items())).encode())
    digest.update(str(table.target.dtype).encode())
    digest.update(table.row_hashes.tobytes())
    digest.update(np.packbits(in_holdout).tobytes())
    return digest.hexdigest()


def _require_columns(frame: pd.DataFrame, settings: DataSettings) -> None:
    named = {"data.target": [settings.target], "data.drop": settings.drop}
    named |= {"data.kinds": list(settings.kinds), "data.slices": settings.slices}
    for key, names in named.items():
        for name in names:
            if name not in frame:
                raise InputError(
                    f"{settings.source} has no column '{name}' ({key});"
                    f" {nearest(name, frame.columns)}"
                )
    if settings.target in settings.drop:
        raise InputError(f"'{settings.target}' is the target and stands in data.drop; choose one")


def _require_signal(table: Table, target: str) -> None:
    if table.features.empty:
        raise InputError(f"{table.name} has no rows with a target and a feature; add some")
    for name, column in table.features.items():
        if column.isna().all():
            raise InputError(
                f"{table.name}: every value of column '{name}' is missing;"
                " fill it or name it under data.drop"
            )
    labels, counts = np.unique(table.target, return_counts=True)
    if len(labels) < 2:
        raise InputError(
            f"{table.name}: target '{target}' has one class only, {_show(labels[0])};"
            " a classifier needs two"
        )
    if len(labels) > 2 and len(labels) > 0.5 * len(table.target):
        raise InputError(
            f"{table.name}: target '{target}' has {len(labels)} different values in"
            f" {len(table.target)} rows; that is no class. Is data.target right?"
        )
    if counts.min() < 2:
        raise InputError(
            f"{table.name}: class {_show(labels[counts.argmin()])} of '{target}' has one row;"
            " it needs two, one to learn from and one to test on. Add rows or leave that class out"
        )


def _show(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def _kind(column: pd.Series, settings: DataSettings) -> Kind:
    if pd.api.types.is_timedelta64_dtype(column):
        raise InputError(
            f"{settings.source}: column '{column.name}' holds durations; give them as numbers"
        )
    return kind_of_values(column)


def _canonical(column: pd.Series, kind: Kind) -> pd.Series:
    try:
        return as_kind(column, kind)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"Column '{column.name}' cannot be read as {kind} (data.kinds): {error}"
        ) from None


def _target(column: pd.Series, settings: DataSettings) -> np.ndarray:
    """What a class can be: text, bool or int64. Whole floats are integers that met a gap."""
    if is_boolean(column):
        return as_booleans(column).to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column):
        whole = (column == np.round(column)) & (column.abs() < EXACT)
        if whole.all():
            return column.to_numpy(dtype="int64")
        raise InputError(
            f"{settings.source}: target '{settings.target}' holds {column[~whole].iloc[0]}, which"
            " is no whole number; a class is a text, a whole number or true and false"
        )
    return column.to_numpy(dtype=str)
