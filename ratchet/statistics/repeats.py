"""Repeated rows: how many independent rows a sample with repeats is worth."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

MIN_DISTINCT_SHARE = 0.9  # below it, rows are often equal by chance
MIN_WORTH = 30  # rows; a feed that sends one row only must still be noticed


def repeats_are_visible(reference: "pyarrow.Table") -> bool:
    """Return whether equal rows are repeats. Rows of few categories are equal by chance."""
    return bool(distinct_rows(reference).num_rows >= MIN_DISTINCT_SHARE * reference.num_rows)


def distinct_rows(table: "pyarrow.Table") -> "pyarrow.Table":
    """Return the first of each group of equal rows, in the order of the table."""
    return table.take(np.sort(_per_group(table, "min")))


def worth(reference: "pyarrow.Table", current: "pyarrow.Table", rows: int) -> float:
    """Return the share of the current `rows` that count as independent, from samples of both sides.

    Of n rows, n / (1 + (n - 1) p) count, where p is how much likelier than in the reference two
    rows are equal: the design effect of a cluster sample, with a row's repeats as its cluster.
    Kish, Survey Sampling, 1965.

    >>> import pyarrow
    >>> different = pyarrow.table({"x": list(range(1000))})
    >>> repeated = pyarrow.table({"x": [place % 50 for place in range(1000)]})
    >>> round(1000 * worth(different, repeated, 1000))
    50
    """
    if not rows or not repeats_are_visible(reference):
        return 1.0
    excess = max(0.0, _chance_of_equal_rows(current) - _chance_of_equal_rows(reference))
    return min(1.0, max(MIN_WORTH / rows, 1 / (1 + (rows - 1) * excess)))


def _chance_of_equal_rows(sample: "pyarrow.Table") -> float:
    sizes = _per_group(sample, "count").astype(float)
    pairs = sample.num_rows * (sample.num_rows - 1)
    return float((sizes * (sizes - 1)).sum() / pairs) if pairs else 0.0


def _per_group(table: "pyarrow.Table", aggregate: str) -> np.ndarray:
    """Return the first row's index ("min") or the size ("count") of each group of equal rows."""
    import pyarrow

    numbered = table.append_column("", pyarrow.array(range(table.num_rows)))
    groups = numbered.group_by(table.column_names).aggregate([("", aggregate)])
    per_group: np.ndarray = groups.column(f"_{aggregate}").to_numpy()
    return per_group
