"""PSI and the Kolmogorov-Smirnov distance between two sets of counts, with tests that tolerate.

A plain test calls any difference drift once there are many rows. These tests ask if the distance
is surely larger than a tolerance.
"""

import numpy as np
from scipy.special import chndtr


def population_stability_index(reference: np.ndarray, current: np.ndarray) -> float:
    """Return PSI = sum over bins of (q - p) ln(q / p), with p and q the shares of both sides.

    If a bin is empty on one side, half a row is added to each bin.

    >>> round(population_stability_index(np.array([50, 50]), np.array([40, 60])), 6)
    0.040547
    >>> round(population_stability_index(np.array([50, 50]), np.array([100, 0])), 6)
    2.625398
    """
    reference, current = _comparable(reference, current)
    p, q = reference / reference.sum(), current / current.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def _comparable(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = (reference > 0) | (current > 0)
    reference, current = reference[used].astype(float), current[used].astype(float)
    if (reference > 0).all() and (current > 0).all():
        return reference, current
    return reference + 0.5, current + 0.5


def psi_p_value(reference: np.ndarray, current: np.ndarray, tau: float) -> float:
    """Return the p-value of "the true PSI is at most tau".

    With k = 1/N + 1/M, PSI / k follows a noncentral chi-squared distribution with B - 1 degrees of
    freedom and noncentrality tau / k. Potgieter et al., arXiv 2307.11878, after Yurdakul 2018.

    >>> round(psi_p_value(np.array([500, 500]), np.array([400, 600]), tau=0.0), 5)
    1e-05
    >>> round(psi_p_value(np.array([500, 500]), np.array([400, 600]), tau=0.02), 2)
    0.09
    """
    bins = int(((reference > 0) | (current > 0)).sum())
    if bins < 2 or not reference.sum() or not current.sum():
        return 1.0
    k = 1 / reference.sum() + 1 / current.sum()
    psi = population_stability_index(reference, current)
    below = chndtr(psi / k, bins - 1, tau / k)
    return float(np.clip(1 - below, 0, 1))


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray) -> float:
    """Return the largest distance of the two distribution functions at the edges of the bins.

    >>> kolmogorov_smirnov(np.array([5, 5, 0]), np.array([2, 4, 4]))
    0.4
    """
    below = np.cumsum(reference) / reference.sum() - np.cumsum(current) / current.sum()
    return float(np.abs(below).max())


def ks_p_value(distance: float, n: float, m: float, tolerance: float) -> float:
    """Return the p-value of "the true distance is at most the tolerance".

    p = 2 exp(-2 NM / (N + M) max(D - tolerance, 0)^2), by the inequality of Dvoretzky, Kiefer and
    Wolfowitz with the constant of Massart, Annals of Probability 18, 1990.

    >>> round(ks_p_value(0.08, 20_000, 5_000, tolerance=0.05), 6)
    0.001493
    """
    excess = max(distance - tolerance, 0)
    return float(min(1, 2 * np.exp(-2 * n * m / (n + m) * excess**2)))
