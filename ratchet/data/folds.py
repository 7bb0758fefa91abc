"""Folds of the training rows that follow the split by time or by group."""

from collections.abc import Iterator

import numpy as np

from ratchet.data.split import Split, gap_of
from ratchet.errors import InputError

Fold = tuple[np.ndarray, np.ndarray]  # positions in the training rows: to train on, to test on


def folds(split: Split, count: int, seed: int) -> list[Fold]:
    """Return folds of the training rows; every class is on both sides of each.

    By time, fold k trains on the rows before block k of equal blocks and tests on block k. By
    group, no group is on both sides. The gap, and the groups of a split by time, are respected.
    """
    made = _forward(split, count) if split.rule.by == "time" else _grouped(split, count, seed)
    return _checked(list(made), split, count)


def covering_folds(split: Split, count: int, seed: int) -> list[Fold]:
    """Return folds that test each row once, for estimators that need a prediction of every row.

    By time, a fold tests on one block and trains on all others, earlier and later ones, but not on
    rows within the gap.
    """
    made = _blocks(split, count) if split.rule.by == "time" else _grouped(split, count, seed)
    return _checked(list(made), split, count)


def _forward(split: Split, count: int) -> Iterator[Fold]:
    times, block = _times_and_blocks(split, count + 1)
    for number in range(1, count + 1):
        test = block == number
        _require_rows(test, split, count)
        yield _without_groups(split, times < times[test].min() - gap_of(split.rule), test)


def _blocks(split: Split, count: int) -> Iterator[Fold]:
    times, block = _times_and_blocks(split, count)
    gap = gap_of(split.rule)
    for number in range(count):
        test = block == number
        _require_rows(test, split, count)
        begin, end = times[test].min() - gap, times[test].max() + gap
        yield _without_groups(split, (times < begin) | (times > end), test)


def _require_rows(test: np.ndarray, split: Split, count: int) -> None:
    if not test.any():
        raise _too_many(split, count, "too few different times")


def _times_and_blocks(split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the times, and for each row one of `count` blocks; equal times share a block."""
    times = np.asarray(split.table.times)[split.in_training]
    edges = np.sort(times)[[len(times) * number // count for number in range(1, count)]]
    return times, np.searchsorted(edges, times, side="right")


def _without_groups(split: Split, train: np.ndarray, test: np.ndarray) -> Fold:
    if split.table.groups is not None:
        groups = split.table.groups[split.in_training]
        train = train & ~np.isin(groups, groups[test])
    return np.flatnonzero(train), np.flatnonzero(test)


def _grouped(split: Split, count: int, seed: int) -> Iterator[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold

    groups = np.asarray(split.table.groups)[split.in_training]
    number = len(np.unique(groups))
    if number < count:
        raise _too_many(split, count, f"the training rows have {number} groups")
    codes = np.searchsorted(split.table.classes, split.train[1])
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(codes)), codes, groups)


def _checked(made: list[Fold], split: Split, count: int) -> list[Fold]:
    target = split.train[1]
    for number, fold in enumerate(made, 1):
        for rows, side in zip(fold, ("train", "test"), strict=True):
            missing = np.setdiff1d(split.table.classes, target[rows])
            if len(missing):
                reason = f"fold {number} has no row of class {missing[0]!s} to {side} on"
                raise _too_many(split, count, reason)
    return made


def _too_many(split: Split, count: int, reason: str) -> InputError:
    rule = split.rule
    return InputError(
        f"{split.table.name} does not allow {count} folds by {rule.by} in '{rule.column}':"
        f" {reason}. Use fewer folds (automl.folds, or `cv` in a model config), or add rows"
    )
