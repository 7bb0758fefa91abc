"""Confidence intervals of a mean that hold at every number of observations at once."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaln, xlog1py, xlogy


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
