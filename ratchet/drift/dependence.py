"""Did the way features go together change? A classifier of rows, reference or current, on samples.

Each side is brought to the same marginals first, by its own ranks, so only dependence can tell the
sides apart: what a shifted feature does is comparison.py's to say. What is left to see is the mean
product of two features. The products that differ most in one half of the rows weigh; the other
half, which had no part in that, is scored once, by Mann-Whitney. (Scores pooled over the folds of a
cross-validation depend on each other, and gave false p-values near 0.)
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from ratchet.statistics.repeats import can_be_told, distinct

if TYPE_CHECKING:
    import pyarrow

SEED = 42
LEAST_SHARE = 0.05  # of a category that is looked at by itself
LIMIT = 0.9  # of the largest difference that noise alone is expected to show
CLIP = 8.0  # one row's say in one product
FEWEST = 10  # rows of a half
MOST = 300  # columns; of more, those that stand first


@dataclass(frozen=True)
class Dependence:
    auc: float
    p_value: float
    pairs: tuple[tuple[str, str], ...]  # that differ most
    drifted: bool = False


NOTHING = Dependence(0.5, 1.0, ())


@dataclass(frozen=True)
class _Basis:
    """Functions of single features, each with mean 0 and variance 1."""

    values: np.ndarray
    owners: list[str]


def dependence(reference: "pyarrow.Table", current: "pyarrow.Table") -> Dependence:
    names = reference.column_names[:MOST]
    reference, current = _without_repeats(reference.select(names), current.select(names))
    categories = {name: _categories(reference.column(name)) for name in names}
    rng = np.random.default_rng(SEED)
    learn, judge = zip(_halves(reference, rng), _halves(current, rng), strict=True)
    if min(half.num_rows for half in (*learn, *judge)) < FEWEST:
        return NOTHING
    sides = [_basis(half, categories, rng) for half in (*learn, *judge)]
    if len(set(sides[0].owners)) < 2:
        return NOTHING
    first, second, weights = _weighed(sides[0], sides[1])
    owners = sides[0].owners
    scores = [
        np.clip(side.values[:, first] * side.values[:, second], -CLIP, CLIP) @ weights
        for side in sides[2:]
    ]
    auc, p_value = mann_whitney(*scores)
    largest = np.argsort(-np.abs(weights))
    pairs = dict.fromkeys((owners[first[i]], owners[second[i]]) for i in largest)
    return Dependence(auc, p_value, tuple(pairs)[:3])


def _without_repeats(
    reference: "pyarrow.Table", current: "pyarrow.Table"
) -> tuple["pyarrow.Table", "pyarrow.Table"]:
    """A row that is sent again and again would be learnt in one half and found in the other."""
    if not can_be_told(reference):
        return reference, current
    return distinct(reference), distinct(current)


def _halves(
    table: "pyarrow.Table", rng: np.random.Generator
) -> tuple["pyarrow.Table", "pyarrow.Table"]:
    order = rng.permutation(table.num_rows)
    half = table.num_rows // 2
    return table.take(order[:half]), table.take(order[half:])


def _categories(values: "pyarrow.ChunkedArray") -> list[str]:
    import pyarrow.compute as pc

    if str(values.type) == "double":
        return []
    counts = pc.value_counts(values.drop_null()).to_pylist()
    return sorted(c["values"] for c in counts if c["counts"] >= LEAST_SHARE * len(values))


def _basis(
    table: "pyarrow.Table", categories: dict[str, list[str]], rng: np.random.Generator
) -> _Basis:
    """Of a number: its normal score and that squared; of a category: whether it is that one."""
    import pyarrow.compute as pc

    columns, owners = [np.empty((table.num_rows, 0))], []
    for name, known in categories.items():
        values = table.column(name)
        if str(values.type) == "double":
            scores = _normal_scores(values.to_numpy(), rng)
            columns += [scores[:, None], scores[:, None] ** 2]
            owners += [name, name]
        for category in known:
            is_it = pc.fill_null(pc.equal(values, category), False)
            columns.append(is_it.to_numpy().astype(float)[:, None])
            owners.append(name)
    values = np.hstack(columns)
    spread = values.std(axis=0)
    return _Basis((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1), owners)


def _normal_scores(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By rank, ties in random order, what is missing in the middle."""
    scores = np.zeros(len(values))
    present = np.isfinite(values)
    shuffled = rng.permutation(np.flatnonzero(present))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    scores[order] = ndtri((np.arange(len(order)) + 0.5) / max(len(order), 1))
    return scores


def _weighed(reference: _Basis, current: _Basis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs whose mean product differs by more than noise would, and the weight of each."""
    before, before_error = _mean_products(reference.values)
    after, after_error = _mean_products(current.values)
    error = np.sqrt(before_error + after_error)
    owners = np.array(reference.owners)
    pairs = np.triu(owners[:, None] != owners[None, :], 1)
    surprise = np.divide(after - before, error, out=np.zeros_like(error), where=pairs & (error > 0))
    limit = LIMIT * np.sqrt(2 * np.log(max(pairs.sum(), 2)))
    limit = min(limit, 0.999 * np.abs(surprise).max())
    first, second = np.nonzero(np.abs(surprise) > limit)
    chosen = surprise[first, second]
    weights = np.sign(chosen) * (np.abs(chosen) - limit / 2) / error[first, second]
    return first, second, weights


def _mean_products(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every two columns, with the squared standard error of the mean."""
    values = values.astype("float32")  # half the time, and far finer than the noise
    mean = values.T @ values / len(values)
    square = (values**2).T @ (values**2) / len(values)
    return mean, np.maximum(square - mean**2, 0) / len(values)


def mann_whitney(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """P(a current score is the higher), and how surely it is above 1/2 (normal, ties counted).

    >>> auc, p_value = mann_whitney(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    >>> auc, round(p_value, 4)
    (0.875, 0.054)
    """
    n, m = len(reference), len(current)
    _, inverse, counts = np.unique(
        np.concatenate([reference, current]), return_inverse=True, return_counts=True
    )
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[n:].sum() - m * (m + 1) / 2
    ties = float((counts.astype(float) ** 3 - counts).sum())
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 0.5, 1.0
    surprise = (wins - n * m / 2 - 0.5) / np.sqrt(variance)
    return float(wins / (n * m)), float(ndtr(-surprise))
