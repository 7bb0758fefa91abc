"""Tests for shares: a share that rose by more than a tolerance, and names that are unseen."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, xlogy
from scipy.stats import binom

CHANCE_OF_HIGHER_LIMIT = 1e-5


def rise_p_value(x: float, n: float, y: float, m: float, tolerance: float) -> float:
    """Return the p-value of "the share rose by at most the tolerance": x of n before, y of m now.

    The test is the signed root of the likelihood-ratio statistic. Under the null hypothesis its
    distribution is nearly standard normal, also far in the tails and for shares near 0 and 1,
    where the plain z-test is not. Barndorff-Nielsen and Cox, Inference and Asymptotics, 1994.

    >>> round(rise_p_value(300, 1000, 400, 1000, tolerance=0.02), 5)
    9e-05
    >>> rise_p_value(300, 1000, 310, 1000, tolerance=0.02)
    1.0
    """
    if not n or not m or y / m - x / n <= tolerance:
        return 1.0
    x, n = x + 0.5, n + 1  # so that a share of 0 in a small reference is not taken for certain
    if y / m - x / n <= tolerance:
        return 1.0

    def slope(share: float) -> float:
        return _slope(share, x, n) + _slope(share + tolerance, y, m)

    margin = 1e-12
    share = brentq(slope, margin, 1 - tolerance - margin, xtol=1e-12)
    loss = _log_likelihood(x / n, x, n) - _log_likelihood(share, x, n)
    loss += _log_likelihood(y / m, y, m) - _log_likelihood(share + tolerance, y, m)
    return float(ndtr(-np.sqrt(2 * max(loss, 0))))


def _log_likelihood(share: float, x: float, n: float) -> float:
    return float(xlogy(x, share) + xlogy(n - x, 1 - share))


def _slope(share: float, x: float, n: float) -> float:
    return x / share - (n - x) / (1 - share)


def changed_shares_p_value(reference: np.ndarray, current: np.ndarray, tolerance: float) -> float:
    """Return the p-value of "no share rose or fell by more than the tolerance" (Bonferroni).

    >>> round(changed_shares_p_value(np.array([700, 300]), np.array([600, 400]), 0.02), 4)
    0.0002
    """
    n, m = float(reference.sum()), float(current.sum())
    used = np.flatnonzero((reference > 0) | (current > 0))
    rises = [rise_p_value(reference[i], n, current[i], m, tolerance) for i in used]
    falls = [rise_p_value(n - reference[i], n, m - current[i], m, tolerance) for i in used]
    if len(used) == 2:  # the fall of one is the rise of the other
        falls = []
    tests = [*rises, *falls]
    return min(1.0, len(tests) * min(tests, default=1.0))


def unseen_share_limit(once: int, twice: int, rows: int) -> float:
    """Return an upper limit of the share of all names that a sample of so many rows lacks.

    Good and Turing: the share is about f1 / N, where f1 names occur once (Good, Biometrika 40,
    1953). Its squared standard error is (f1 + 2 f2 - f1^2 / N) / N^2 (Esty, Annals of Statistics
    11, 1983). The limit fails with a chance of 1 in 100,000.

    >>> round(unseen_share_limit(once=200, twice=100, rows=2000), 4)
    0.1525
    >>> round(unseen_share_limit(once=0, twice=0, rows=2000), 4)
    0.0058
    """
    if not rows:
        return 1.0
    log = -np.log(CHANCE_OF_HIGHER_LIMIT)
    variance = max(once + 2 * twice - once**2 / rows, 0)
    limit = (once + np.sqrt(2 * log * variance) + log) / rows
    return float(min(1.0, limit))


def unseen_p_value(unseen: float, rows: float, limit: float) -> float:
    """Return the p-value of "the share of unseen names is at most the limit" (binomial, exact).

    >>> round(unseen_p_value(20, 1000, limit=0.0069), 6)
    4.4e-05
    """
    chance = binom.sf(np.ceil(unseen - 1e-9) - 1, round(rows), limit) if unseen > 0 else 1.0
    return float(min(1.0, chance + CHANCE_OF_HIGHER_LIMIT))
