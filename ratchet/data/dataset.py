"""A labelled table, its split into training rows and holdout, and the sha256 of the split."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ratchet.columns import Kind, as_kind
from ratchet.data import source
from ratchet.data.kinds import kinds_of
from ratchet.data.target import labels_of
from ratchet.errors import InputError, nearest
from ratchet.progress import print_once
from ratchet.settings import DataSettings


@dataclass(frozen=True)
class Table:
    """The features, with one pandas type per kind (see `ratchet.columns`), and the target."""

    name: str
    features: pd.DataFrame
    target: np.ndarray  # text, bool or int64
    kinds: dict[str, Kind]
    slices: pd.DataFrame  # the columns of data.slices, also those that data.drop removes

    @cached_property
    def classes(self) -> np.ndarray:
        return np.unique(self.target)

    @cached_property
    def row_hashes(self) -> np.ndarray:
        frame = pd.concat([self.features, pd.Series(self.target, name="(target)")], axis="columns")
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
    frame = source.read(settings)
    _require_columns(frame, settings)
    labelled = frame[settings.target].notna()
    if not labelled.all():
        left_out = f"{(~labelled).sum()} of {len(frame)} rows have no '{settings.target}'"
        print_once(f"{settings.source}: {left_out} and are left out")
        frame = frame[labelled].reset_index(drop=True)
    columns = {str(name): column for name, column in frame.items() if name not in settings.drop}
    slices = frame[list(settings.slices)].astype(str)
    del frame
    target = columns.pop(settings.target)
    if target.empty or not columns:
        raise InputError(f"{settings.source} has no rows with a target and a feature; add some")
    labels = labels_of(target, settings)
    kinds = kinds_of(columns, settings)
    if not kinds:
        raise InputError(
            f"{settings.source}: every column besides '{settings.target}' is left out; keep one by"
            " data.kinds or data.text"
        )
    features = {name: _canonical(columns.pop(name), kind, settings) for name, kind in kinds.items()}
    return Table(settings.source, pd.DataFrame(features, copy=False), labels, kinds, slices)


def load_split(settings: DataSettings) -> Split:
    return split(load(settings), settings.holdout, settings.seed)


def split(table: Table, share: float, seed: int) -> Split:
    """Choose the holdout within each class, by a hash of each row's content.

    The order of the rows does not matter, and rows that are added later change the side of few
    others. Every class has at least one row on each side.
    """
    repeats = pd.Series(table.row_hashes).groupby(table.row_hashes).cumcount().to_numpy()
    keys = _mix(table.row_hashes, seed) ^ _mix(repeats.astype("uint64"), seed)
    in_holdout = np.zeros(len(keys), dtype=bool)
    for label in table.classes:
        rows = np.flatnonzero(table.target == label)
        holdout_rows = min(max(1, round(len(rows) * share)), len(rows) - 1)
        in_holdout[rows[np.argsort(keys[rows], kind="stable")[:holdout_rows]]] = True
    return Split(table, in_holdout, _sha256(table, in_holdout))


def _mix(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Return new hashes, computed from these and the seed (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = hashes ^ (np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sha256(table: Table, in_holdout: np.ndarray) -> str:
    """Return the digest of the content; it is the same for a table as CSV and as Parquet."""
    digest = hashlib.sha256(repr(list(table.kinds.items())).encode())
    digest.update(str(table.target.dtype).encode())
    digest.update(table.row_hashes.tobytes())
    digest.update(np.packbits(in_holdout).tobytes())
    return digest.hexdigest()


def _require_columns(frame: pd.DataFrame, settings: DataSettings) -> None:
    named = {"data.target": [settings.target], "data.drop": settings.drop}
    named |= {"data.kinds": list(settings.kinds), "data.text": list(settings.text)}
    named |= {"data.slices": settings.slices}
    for key, names in named.items():
        for name in names:
            if name not in frame:
                raise InputError(
                    f"{settings.source} has no column '{name}' ({key});"
                    f" {nearest(name, frame.columns)}"
                )
    if settings.target in settings.drop:
        raise InputError(f"'{settings.target}' is the target and stands in data.drop; choose one")


def _canonical(column: pd.Series, kind: Kind, settings: DataSettings) -> pd.Series:
    try:
        values = as_kind(column, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"Column '{column.name}' cannot be read as {kind} (data.kinds): {error}"
        ) from None
    if values.isna().all():
        raise InputError(
            f"{settings.source}: every value of column '{column.name}' is missing;"
            " fill it or name it under data.drop"
        )
    infinite = int(values.isna().sum() - column.isna().sum())
    if infinite and kind == "numeric":
        print_once(
            f"{settings.source}: {infinite} infinite values of '{column.name}' count as missing"
        )
    return values
