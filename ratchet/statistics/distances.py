"""How far two sets of counts are apart, and how surely farther than what is no change at all.

The plain tests call any difference drift once the data are large. These ask whether the distance is
more than a tolerance: Potgieter et al., arXiv 2307.11878, after Yurdakul 2018.
"""

import numpy as np
from scipy.special import chndtr


def population_stability_index(reference: np.ndarray, current: np.ndarray) -> float:
    """sum (q - p) ln(q / p) over bins. Half a row more in every bin where one bin is empty.

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
    """That a PSI of at most tau looks as large as this one: noncentral chi-squared.

    With k = 1/N + 1/M, PSI / k has B - 1 degrees of freedom and the noncentrality tau / k.

    >>> round(psi_p_value(np.array([500, 500]), np.array([400, 600]), tau=0.0), 5)
    1e-05
    >>> round(psi_p_value(np.array([500, 500]), np.array([400, 600]), tau=0.02), 2)
    0.09
    """
    bins = int(((reference > 0) | (current > 0)).sum())
    if bins < 2:
        return 1.0
    k = 1 / reference.sum() + 1 / current.sum()
    psi = population_stability_index(reference, current)
    below = chndtr(psi / k, bins - 1, tau / k)
    return float(np.clip(1 - below, 0, 1))


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray) -> float:
    """The largest distance between the two distribution functions, at the edges of the bins.

    >>> kolmogorov_smirnov(np.array([5, 5, 0]), np.array([2, 4, 4]))
    0.4
    """
    below = np.cumsum(reference) / reference.sum() - np.cumsum(current) / current.sum()
    return float(np.abs(below).max())


def ks_p_value(distance: float, n: float, m: float, tolerance: float) -> float:
    """
    >>> round(ks_p_value(0.08, 20_000, 5_000, tolerance=0.05), 6)
    0.001493
    """
    beyond = max(distance - tolerance, 0)
    return float(min(1, 2 * np.exp(-2 * n * m / (n + m) * beyond**2)))
