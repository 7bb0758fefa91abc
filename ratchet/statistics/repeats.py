"""Rows that are sent again and again: how much they say, and which of them say something new."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

UNLIKE = 0.9  # the share of different rows from which on rows do not come to be alike by chance
LEAST = 30  # rows' worth: a feed that sends one row only is still seen


def can_be_told(reference: "pyarrow.Table") -> bool:
    """Rows of few categories are alike by chance, and a repeat cannot be told from another."""
    return bool(distinct(reference).num_rows >= UNLIKE * reference.num_rows)


def distinct(table: "pyarrow.Table") -> "pyarrow.Table":
    """In their order."""
    places = np.sort(_groups(table, "min"))
    return table.take(places)


def worth(reference: "pyarrow.Table", current: "pyarrow.Table", rows: int) -> float:
    """By samples of both: how many rows of their own the current `rows` are worth, as a share.

    n / (1 + (n - 1) p) of n, where p is how much likelier than in the reference two rows are the
    same one: the design effect of a cluster sample (Kish), with a row's repeats as its cluster.
    """
    if not rows or not can_be_told(reference):
        return 1.0
    alike = max(0.0, _chance_of_the_same(current) - _chance_of_the_same(reference))
    return min(1.0, max(LEAST / rows, 1 / (1 + (rows - 1) * alike)))


def _chance_of_the_same(sample: "pyarrow.Table") -> float:
    counts = _groups(sample, "count").astype(float)
    pairs = sample.num_rows * (sample.num_rows - 1)
    return float((counts * (counts - 1)).sum() / pairs) if pairs else 0.0


def _groups(table: "pyarrow.Table", what: str) -> np.ndarray:
    """Of the places of each row that differs from all others: the first, or their number."""
    import pyarrow

    placed = table.append_column("", pyarrow.array(range(table.num_rows)))
    found: np.ndarray = (
        placed.group_by(table.column_names).aggregate([("", what)]).column(f"_{what}").to_numpy()
    )
    return found
