"""A two-sample test for a change in how features go together.

Each sample is a matrix: a row per row of data, a column per function of one feature, standardised
within the sample. Dependence shows in the mean product of two columns of different features.

1. Learn: on one half of the rows, find the products whose means differ by more than noise would,
   and weigh them by their surprise.
2. Judge: on the other half, which had no part in that, score each row by the weighted products and
   compare the two sides once, by Welch's t-test (Welch, Biometrika 34, 1947).

Scores that are pooled over the folds of a cross-validation depend on each other and gave false
p-values near 0. A rank test is wrong here too: each sample is centred by its own means, so scores
that tie differ between the samples by a constant, which ranks take for a shift.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu, ttest_ind

NOISE_LIMIT = 0.9  # of the largest difference that noise alone is expected to show
MAX_PRODUCT = 8.0  # larger products are clipped, so that no single row decides


@dataclass(frozen=True)
class Products:
    """The products that differ between two samples: pairs of columns, and a weight for each."""

    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray

    def score(self, values: np.ndarray) -> np.ndarray:
        products = values[:, self.first] * values[:, self.second]
        return np.asarray(np.clip(products, -MAX_PRODUCT, MAX_PRODUCT) @ self.weights)


def differing_products(reference: np.ndarray, current: np.ndarray, owners: np.ndarray) -> Products:
    """Return the products of columns with different owners whose means differ most.

    >>> rng = np.random.default_rng(0)
    >>> x, y, z, noise = rng.normal(size=(4, 1000))
    >>> related = np.column_stack([x, 0.8 * x + 0.6 * y])
    >>> unrelated = np.column_stack([z, noise])
    >>> found = differing_products(related, unrelated, np.array(["x", "y"]))
    >>> found.first.tolist(), found.second.tolist(), bool(found.weights[0] < 0)
    ([0], [1], True)
    """
    before, before_error = _mean_products(reference)
    after, after_error = _mean_products(current)
    error = np.sqrt(before_error + after_error)
    pairs = np.triu(owners[:, None] != owners[None, :], 1)
    surprise = np.divide(after - before, error, out=np.zeros_like(error), where=pairs & (error > 0))
    limit = NOISE_LIMIT * np.sqrt(2 * np.log(max(pairs.sum(), 2)))
    limit = min(limit, 0.999 * np.abs(surprise).max())
    first, second = np.nonzero(np.abs(surprise) > limit)
    chosen = surprise[first, second]
    weights = np.sign(chosen) * (np.abs(chosen) - limit / 2) / error[first, second]
    return Products(first, second, weights)


def _mean_products(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean product of each two columns, and the squared standard error of each mean."""
    values = values.astype("float32")  # half the time, and far finer than the noise
    mean = values.T @ values / len(values)
    square = (values**2).T @ (values**2) / len(values)
    return mean, np.maximum(square - mean**2, 0) / len(values)


def rise_p_value(reference: np.ndarray, current: np.ndarray) -> float:
    """Return Welch's one-sided p-value of a rise of the mean; 1 if the scores do not vary.

    >>> rise_p_value(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])).__round__(4)
    0.0355
    """
    if reference.std() == 0 and current.std() == 0:
        return 1.0
    return float(ttest_ind(current, reference, equal_var=False, alternative="greater").pvalue)


def area_under_curve(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the chance that a score of `current` is higher than one of `reference`.

    >>> area_under_curve(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    0.875
    """
    wins = mannwhitneyu(current, reference, method="asymptotic").statistic
    return float(wins / (len(reference) * len(current)))
