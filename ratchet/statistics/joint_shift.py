"""A test for small shifts of several features at once, which no single feature shows surely."""

import numpy as np
from scipy.special import chndtr


def joint_shift_p_value(
    shifts: np.ndarray, correlations: np.ndarray, k: float, tolerance: float
) -> float:
    """Return the p-value of "the sum of the squared shifts is at most the tolerance".

    The shifts are differences of means in standard deviations, and k = 1/N + 1/M. Without change,
    sum(shift^2) / k is a weighted sum of chi-squared variables; the weights are the eigenvalues of
    the correlations. A scaled chi-squared variable with the same mean and variance stands for it
    (Satterthwaite, Biometrics 2, 1946). The tolerance adds the noncentrality tolerance / k.

    >>> shifts = np.array([0.2, 0.2, 0.2, 0.0])
    >>> round(joint_shift_p_value(shifts, np.eye(4), k=0.0015, tolerance=0.05), 4)
    0.0015
    >>> round(joint_shift_p_value(shifts, np.ones((4, 4)), k=0.0015, tolerance=0.05), 2)
    0.06
    """
    if not len(shifts):
        return 1.0
    mean = float(np.trace(correlations))
    square = float((correlations**2).sum())  # the sum of the squared eigenvalues
    scale = square / mean
    statistic = float((shifts**2).sum()) / k
    below = chndtr(statistic / scale, mean / scale, tolerance / k / scale)
    return float(np.clip(1 - below, 0, 1))
