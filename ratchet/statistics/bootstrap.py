"""The paired bootstrap of the difference of two statistics of the same rows."""

from collections.abc import Callable

import numpy as np
from scipy.stats import norm, t

from ratchet.statistics.arrays import Codes, Floats

LARGEST_BATCH = 4_000_000  # weights in memory at once


def stratified_weights(strata: Codes, draws: int, seed: int) -> Floats:
    """Return how often each draw takes each row: an array of draws x rows.

    Rows are drawn with replacement within their stratum, so each draw holds as many rows of each
    stratum as the data. A statistic that needs a row of every class is defined for every draw.

    >>> stratified_weights(np.array([0, 0, 0, 1]), draws=2, seed=1)
    array([[0., 2., 1., 1.],
           [2., 0., 1., 1.]])
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((draws, len(strata)))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        drawn = rng.integers(0, len(rows), (draws, len(rows)))
        drawn += len(rows) * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * len(rows))
        weights[:, rows] = counts.reshape(draws, len(rows))
    return weights


def bootstrap_interval(
    difference: Callable[[Floats], Floats],
    strata: Codes,
    confidence: float,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """Return the expanded percentile interval of a difference that is a function of row weights.

    `difference` takes weights (draws x rows) and returns one number per draw. The percentile
    interval is too narrow for few rows: it uses the normal quantile and divides by n. The expanded
    interval takes the percentiles at Phi(-sqrt(n / (n - 1)) * t_{n-1}) in place of the nominal
    ones. Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69,
    2015.

    >>> values = np.array([0.0, 1, 1, 0, 1, 1, 1, 0, 1, 1])
    >>> mean = lambda weights: weights @ values / len(values)
    >>> low, high = bootstrap_interval(mean, np.zeros(10, dtype=int), 0.95, draws=2000, seed=1)
    >>> round(low, 2), round(high, 2)
    (0.3, 1.0)
    """
    n = len(strata)
    batch = max(1, LARGEST_BATCH // n)
    parts = [
        difference(stratified_weights(strata, min(batch, draws - start), seed + start))
        for start in range(0, draws, batch)
    ]
    quantile = t.ppf((1 - confidence) / 2, max(1, n - 1)) * np.sqrt(n / max(1, n - 1))
    tail = float(norm.cdf(quantile))
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    return float(low), float(high)
