"""Signs that a random split flatters: rows in the order of a date, or ids on both sides."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ratchet.columns import kind_of_values
from ratchet.data.split import Split
from ratchet.settings import SplitSettings

FEWEST_ROWS = 50
IN_ORDER = 0.95  # so many rows are not older than the row before them
FEWEST_DATES = 10
FEWEST_IDS = 20
ROWS_OF_AN_ID = (2, 50)  # on average; with more rows a value is a category, not an id
STRONG = 3.3  # standard errors; chance alone exceeds it in one column of 2,000


@dataclass(frozen=True)
class Hint:
    """A column, and the split that is honest if the sign is right."""

    column: str
    reason: str
    rule: SplitSettings


def split_hints(split: Split) -> list[Hint]:
    """Return at most one hint by time and one by group for a random split."""
    if split.rule.by != "random" or len(split.in_holdout) < FEWEST_ROWS:
        return []
    columns = {**dict(split.table.features.items()), **dict(split.table.dropped.items())}
    ordered = [str(name) for name, column in columns.items() if _orders_the_rows(column)]
    strengths = {
        str(name): strength
        for name, column in columns.items()
        if (strength := _strength_of_id(column, split)) > STRONG
    }
    hints = [_by_time(ordered[0])] if ordered else []
    return hints + ([_by_group(max(strengths, key=strengths.__getitem__))] if strengths else [])


def _by_time(name: str) -> Hint:
    reason = f"the rows are in the order of '{name}'"
    return Hint(name, reason, SplitSettings(by="time", column=name))


def _by_group(name: str) -> Hint:
    reason = f"values of '{name}' are on both sides and predict the target"
    return Hint(name, reason, SplitSettings(by="group", column=name))


def _orders_the_rows(column: pd.Series) -> bool:
    if kind_of_values(column) != "date" or column.isna().any():
        return False
    steps = np.diff(column.to_numpy().astype("datetime64[us]").astype("int64"))
    in_order = max((steps >= 0).mean(), (steps <= 0).mean())
    return bool(in_order >= IN_ORDER and column.nunique() >= FEWEST_DATES)


def _strength_of_id(column: pd.Series, split: Split) -> float:
    """Return how much better the id's most common class predicts the holdout than chance does.

    The unit is a standard error. The class of the next id is a rival: in an ordinary column of
    numbers it predicts nearly as well, but ids that lie next to each other have nothing in common.
    """
    if not _may_be_id(column):
        return 0.0
    codes, values = pd.factorize(column, sort=True)
    truth = np.searchsorted(split.table.classes, split.table.target)
    counts = np.zeros((len(values) + 1, len(split.table.classes)))
    np.add.at(counts, (codes[split.in_training], truth[split.in_training]), 1)
    seen = np.asarray(counts.any(axis=1))
    rows = np.flatnonzero(split.in_holdout & seen[codes] & (codes >= 0))
    if not len(rows):
        return 0.0
    own = counts.argmax(axis=1)[codes[rows]] == truth[rows]
    next_codes = _next_seen(seen)[codes[rows]]
    rivals = (counts.sum(axis=0).argmax(), counts.argmax(axis=1)[next_codes])
    return min(_standard_errors(own, rival == truth[rows]) for rival in rivals)


def _may_be_id(column: pd.Series) -> bool:
    kind = kind_of_values(column)
    if kind not in ("numeric", "categorical"):
        return False
    if kind == "numeric" and not (column.dropna() % 1 == 0).all():
        return False
    values = column.nunique()
    fewest, most = ROWS_OF_AN_ID
    return values >= FEWEST_IDS and fewest <= column.count() / values <= most


def _next_seen(seen: np.ndarray) -> np.ndarray:
    """Return for each code the next one that has training rows, and the first for the last."""
    known = np.flatnonzero(seen)
    return known[np.searchsorted(known, np.arange(len(seen)), side="right") % len(known)]


def _standard_errors(one: np.ndarray, other: np.ndarray) -> float:
    """Return McNemar's statistic: the difference of rows that only one predicts correctly."""
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return (only_one - only_other) / max(1.0, float(np.sqrt(only_one + only_other)))
