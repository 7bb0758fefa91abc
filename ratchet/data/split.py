"""The split of a table into training rows and holdout. It is the same every time."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ratchet.data.dataset import Table, load
from ratchet.errors import InputError
from ratchet.settings import DataSettings, SplitSettings, seconds

RANDOM = SplitSettings()


@dataclass(frozen=True)
class Split:
    """A table and its two sides; a row between them belongs to neither side."""

    table: Table
    in_holdout: np.ndarray
    in_training: np.ndarray
    sha256: str
    rule: SplitSettings = field(default_factory=SplitSettings)

    @property
    def train(self) -> tuple[pd.DataFrame, np.ndarray]:
        return self._rows(self.in_training)

    @property
    def holdout(self) -> tuple[pd.DataFrame, np.ndarray]:
        return self._rows(self.in_holdout)

    @property
    def train_weights(self) -> np.ndarray | None:
        return None if self.table.weights is None else self.table.weights[self.in_training]

    @property
    def holdout_weights(self) -> np.ndarray | None:
        return None if self.table.weights is None else self.table.weights[self.in_holdout]

    def _rows(self, chosen: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        return self.table.features[chosen].reset_index(drop=True), self.table.target[chosen]


def load_split(settings: DataSettings) -> Split:
    return split(load(settings), settings.holdout, settings.seed, settings.split)


def split(table: Table, share: float, seed: int, rule: SplitSettings = RANDOM) -> Split:
    if rule.by == "time":
        in_holdout, in_training = _by_time(table, share, rule)
    else:
        in_holdout = (_by_group if rule.by == "group" else _at_random)(table, share, seed)
        in_training = ~in_holdout
    if rule.by != "random":
        _require_classes(table, in_holdout, in_training, rule)
    sha256 = _sha256(table, in_holdout, in_training, rule)
    return Split(table, in_holdout, in_training, sha256, rule)


def _at_random(table: Table, share: float, seed: int) -> np.ndarray:
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
    return in_holdout


def _by_group(table: Table, share: float, seed: int) -> np.ndarray:
    """Choose the groups whose hash lies below the share: a new group moves no other one.

    If no hash lies below it, the group with the lowest hash is the holdout; if all do, the group
    with the highest hash is for training.
    """
    groups = table.groups
    if groups is None:
        raise ValueError("the table was loaded without the groups of data.split")
    _require_two(groups, table.name, "one group")
    keys = _mix(groups, seed)
    in_holdout = keys < np.uint64(share * 2**64)
    if not in_holdout.any():
        return np.asarray(keys == keys.min())
    return np.asarray(keys != keys.max()) if in_holdout.all() else np.asarray(in_holdout)


def _by_time(table: Table, share: float, rule: SplitSettings) -> tuple[np.ndarray, np.ndarray]:
    """Choose the newest rows as the holdout, and for training the rows before it and the gap.

    Rows of the same time are on the same side. With `rule.group`, rows of a group that has a row in
    the holdout are not for training.
    """
    times = table.times
    if times is None:
        raise ValueError("the table was loaded without the times of data.split")
    _require_two(times, table.name, f"one time, {times[0]}")
    ordered = np.sort(times)
    begin = ordered[len(times) - min(max(1, round(len(times) * share)), len(times) - 1)]
    if begin == ordered[0]:
        begin = ordered[ordered > begin][0]
    in_holdout = times >= begin
    in_training = times < begin - gap_of(rule)
    if rule.group is not None and table.groups is not None:
        in_training &= ~np.isin(table.groups, table.groups[in_holdout])
    if not in_training.any():
        reasons = [f"a gap of {rule.gap}"] if seconds(rule.gap) else []
        reasons += [f"the groups of '{rule.group}'"] if rule.group else []
        raise InputError(
            f"{table.name}: {' and '.join(reasons)} leave no row for training; the times in"
            f" '{rule.column}' go from {ordered[0]} to {ordered[-1]} and the holdout begins at"
            f" {begin}. Lower data.split.gap or data.holdout"
        )
    return np.asarray(in_holdout), np.asarray(in_training)


def _require_two(values: np.ndarray, name: str, one: str) -> None:
    if (values == values[0]).all():
        raise InputError(f"{name}: the column of data.split holds {one} only; a split needs two")


def gap_of(rule: SplitSettings) -> np.timedelta64:
    return np.timedelta64(round(seconds(rule.gap) * 1e6), "us")


def _require_classes(
    table: Table, in_holdout: np.ndarray, in_training: np.ndarray, rule: SplitSettings
) -> None:
    for side, rows in (("holdout", in_holdout), ("training part", in_training)):
        classes = np.unique(table.target[rows])
        if len(classes) < 2:
            raise InputError(
                f"{table.name}: split by {rule.by} in '{rule.column}', the {side} has"
                f" {rows.sum()} rows of one class only, {classes[0]!s}; expected two classes or"
                " more. Change data.holdout, or split by another column"
            )


def _mix(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Return new hashes, computed from these and the seed (the finaliser of splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = hashes ^ (np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _sha256(
    table: Table, in_holdout: np.ndarray, in_training: np.ndarray, rule: SplitSettings
) -> str:
    """Return the digest of the content; it is the same for a table as CSV and as Parquet."""
    digest = hashlib.sha256(repr(list(table.kinds.items())).encode())
    digest.update(str(table.target.dtype).encode())
    digest.update(table.row_hashes.tobytes())
    digest.update(np.packbits(in_holdout).tobytes())
    if rule != RANDOM:
        digest.update(repr(rule).encode() + np.packbits(in_training).tobytes())
        for column in (table.times, table.groups):
            digest.update(b"" if column is None else column.tobytes())
    if table.weights is not None:
        digest.update(table.weights.tobytes())
    return digest.hexdigest()
