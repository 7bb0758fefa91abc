"""Confidence intervals of a mean: for one look, and for any number of looks."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy
from scipy.stats import t as student_t

from ratchet.statistics.arrays import Floats


def mean_interval(total: float, units: int, alpha: float) -> tuple[float, float]:
    """Return the ends of a confidence sequence for the mean of values in [0, 1].

    With s = `total` and n = `units` the interval holds every p for which

        B(1/2 + s, 1/2 + n - s) / B(1/2, 1/2) < p^s (1-p)^(n-s) / alpha

    This is Robbins' mixture martingale with a Beta(1/2, 1/2) prior (Annals of Mathematical
    Statistics 41, 1970). It is exact for values of 0 and 1. It also holds for values between them,
    because each factor of the martingale is convex in the value.

    >>> [round(end, 4) for end in mean_interval(90, 100, 0.05)]
    [0.7725, 0.9709]
    >>> mean_interval(0, 0, 0.05)
    (0.0, 1.0)
    """
    if not units:
        return 0.0, 1.0
    evidence = betaln(0.5 + total, 0.5 + units - total) - betaln(0.5, 0.5)

    def excess(p: float) -> float:
        return float(evidence - xlogy(total, p) - xlog1py(units - total, -p) + np.log(alpha))

    mean, tiny = total / units, 1e-12
    low = brentq(excess, tiny, mean) if excess(tiny) > 0 and mean > tiny else 0.0
    high = brentq(excess, mean, 1 - tiny) if excess(1 - tiny) > 0 and mean < 1 - tiny else 1.0
    return float(low), float(high)


def t_interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return Student's interval of a mean: mean +- t_{n-1} s / sqrt(n).

    For the differences of two models on the same rows it errs on the safe side: if neither model is
    better, the differences are symmetric around 0, and heavy tails then make the t test reject less
    often than stated (Cressie, Australian Journal of Statistics 22, 1980).

    >>> [round(end, 3) for end in t_interval(np.array([0.1, -0.2, 0.3, 0.2]), 0.95)]
    [-0.244, 0.444]
    """
    n = len(values)
    if n < 2:
        return -float("inf"), float("inf")
    reach = student_t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - reach), float(values.mean() + reach)
