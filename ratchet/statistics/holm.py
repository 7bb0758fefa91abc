"""Holm's correction for many tests at once."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Holm-Bonferroni: return which null hypotheses are rejected at family-wise error rate alpha.

    Sort the p-values. Reject the smallest if p <= alpha / m, the next one if p <= alpha / (m - 1),
    and so on; stop at the first one that is not rejected. The tests may depend on each other.
    Holm, Scandinavian Journal of Statistics 6, 1979.

    >>> holm([0.004, 0.03, 0.002], alpha=0.01)
    [True, False, True]
    """
    rejected = [False] * len(p_values)
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if not p_values[index] <= alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected
