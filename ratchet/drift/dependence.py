"""A check for changes in how features go together, on samples of both sides.

Each side is brought to the same marginal distributions by its own ranks, so that a shift of one
feature does not count here: comparison.py finds that. statistics/product_test.py does the rest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from ratchet.statistics.product_test import area_under_curve, differing_products, rise_p_value
from ratchet.statistics.repeats import distinct_rows, repeats_are_visible

if TYPE_CHECKING:
    import pyarrow

SEED = 42
MIN_SHARE = 0.05  # rarer categories are not looked at
MIN_ROWS = 10  # of a half
MAX_COLUMNS = 300  # the first ones count


@dataclass(frozen=True)
class Dependence:
    """The result. `auc` is the chance that a current row scores higher than a reference row."""

    auc: float
    p_value: float
    pairs: tuple[tuple[str, str], ...]  # the pairs of features that differ most
    drifted: bool = False


NO_DEPENDENCE = Dependence(0.5, 1.0, ())


@dataclass(frozen=True)
class _Basis:
    """Functions of single features, each with mean 0 and variance 1."""

    values: np.ndarray
    owners: np.ndarray  # the feature that each function belongs to


def dependence(reference: "pyarrow.Table", current: "pyarrow.Table") -> Dependence:
    names = reference.column_names[:MAX_COLUMNS]
    reference, current = _without_repeats(reference.select(names), current.select(names))
    categories = {name: _categories(reference.column(name)) for name in names}
    rng = np.random.default_rng(SEED)
    learn, judge = zip(_halves(reference, rng), _halves(current, rng), strict=True)
    if min(half.num_rows for half in (*learn, *judge)) < MIN_ROWS:
        return NO_DEPENDENCE
    # Each half has ranks, means and variances of its own, so that the halves stay independent.
    learn_bases, judge_bases = (
        [_basis(half, categories, rng) for half in halves] for halves in (learn, judge)
    )
    owners = learn_bases[0].owners
    if len(set(owners)) < 2:
        return NO_DEPENDENCE
    products = differing_products(learn_bases[0].values, learn_bases[1].values, owners)
    before, after = (products.score(basis.values) for basis in judge_bases)
    largest = np.argsort(-np.abs(products.weights))
    pairs = dict.fromkeys(
        (str(owners[products.first[i]]), str(owners[products.second[i]])) for i in largest
    )
    auc, p_value = area_under_curve(before, after), rise_p_value(before, after)
    return Dependence(auc, p_value, tuple(pairs)[:3])


def _without_repeats(
    reference: "pyarrow.Table", current: "pyarrow.Table"
) -> tuple["pyarrow.Table", "pyarrow.Table"]:
    """Keep one of equal rows; otherwise both halves would hold the same row and look alike."""
    if not repeats_are_visible(reference):
        return reference, current
    return distinct_rows(reference), distinct_rows(current)


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
    return sorted(c["values"] for c in counts if c["counts"] >= MIN_SHARE * len(values))


def _basis(
    table: "pyarrow.Table", categories: dict[str, list[str]], rng: np.random.Generator
) -> _Basis:
    """Return the normal score of each number and its square, and an indicator per category."""
    import pyarrow.compute as pc

    columns, owners = [np.empty((table.num_rows, 0))], []
    for name, known in categories.items():
        values = table.column(name)
        if str(values.type) == "double":
            scores = _normal_scores(values.to_numpy(), rng)
            columns += [scores[:, None], scores[:, None] ** 2]
            owners += [name, name]
        for category in known:
            indicator = pc.fill_null(pc.equal(values, category), False)
            columns.append(indicator.to_numpy().astype(float)[:, None])
            owners.append(name)
    values = np.hstack(columns)
    spread = values.std(axis=0)
    standardised = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return _Basis(standardised, np.array(owners))


def _normal_scores(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return normal scores by rank: ties in random order, missing values in the middle."""
    scores = np.zeros(len(values))
    present = np.isfinite(values)
    shuffled = rng.permutation(np.flatnonzero(present))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    scores[order] = ndtri((np.arange(len(order)) + 0.5) / max(len(order), 1))
    return scores
