"""The smallest shift that a test of PSI and KS can show with so many rows."""

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import ncx2

POWER = 0.8
LARGEST_SHIFT = 6.0


@lru_cache(maxsize=100)
def smallest_visible_shift(n: float, m: float, level: float, tau: float, ks: float) -> float:
    """Return the shift of a normal column, in standard deviations, that is found in 80 % of checks.

    `level` is the p-value that a column must reach by PSI (tolerance tau) or by KS (tolerance ks).

    >>> round(smallest_visible_shift(20_000, 1000, level=0.0004, tau=0.02, ks=0.05), 2)
    0.29
    >>> round(smallest_visible_shift(20_000, 100_000, level=0.0004, tau=0.02, ks=0.05), 2)
    0.17
    """
    k = 1 / n + 1 / m
    psi_limit = ncx2.isf(level, 9, tau / k)
    ks_limit = ks + np.sqrt(np.log(2 / level) * k / 2)

    def power(shift: float) -> float:
        by_psi = ncx2.sf(psi_limit, 9, _psi_of_deciles(shift) / k)
        distance = 2 * ndtr(shift / 2) - 1
        by_ks = ndtr((distance - ks_limit) / np.sqrt(k / 4))
        return float(max(by_psi, by_ks))

    if power(LARGEST_SHIFT) < POWER:
        return LARGEST_SHIFT
    return float(brentq(lambda shift: power(shift) - POWER, 1e-6, LARGEST_SHIFT))


def _psi_of_deciles(shift: float) -> float:
    edges = ndtri(np.linspace(0, 1, 11))
    moved = np.maximum(np.diff(ndtr(edges - shift)), 1e-12)
    return float(np.sum((moved - 0.1) * np.log(moved / 0.1)))
