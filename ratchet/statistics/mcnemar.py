"""McNemar's test of two models on the same rows: exact, for one look and for any number of looks.

A row counts if exactly one of the two models is right. If neither model is better, each of the
two is that one with probability 1/2.
"""

from typing import Literal

import numpy as np
from scipy.special import betainc, betaln, logsumexp
from scipy.stats import binomtest

from ratchet.statistics.arrays import Counts, Floats

POINT_ALTERNATIVES = (0.66, 0.8)  # each with weight 0.475
POINT_WEIGHT, UNIFORM_WEIGHT = 0.475, 0.05


def exact_mcnemar(
    first_only: int, second_only: int, alternative: Literal["two-sided", "less"] = "two-sided"
) -> float:
    """Return the binomial p-value of McNemar's test.

    `first_only`: rows on which only the first model is right. "less" asks if the first is worse.

    >>> round(exact_mcnemar(2, 8), 4)
    0.1094
    >>> exact_mcnemar(0, 0)
    1.0
    """
    rows = first_only + second_only
    if rows == 0:
        return 1.0
    return float(binomtest(first_only, rows, alternative=alternative).pvalue)


def mcnemar_log_e(won: Counts | int, lost: Counts | int) -> Floats:
    """Return the log e-value that staging is better: McNemar's test for any number of looks.

    With b = `won` (only staging is right) and c = `lost` (only prod is right) the e-value is

        E = .475 [L(.66) + L(.8)] + .05 * 2^(b+c+1) B(1+b, 1+c) [1 - I_1/2(1+b, 1+c)]

    where L(q) = (2q)^b (2-2q)^c is the likelihood ratio of q against 1/2. The last term is the
    mean of L(q) over q in (1/2, 1). If staging is not better, E is a supermartingale from 1, so it
    ever reaches 1/alpha with probability at most alpha (Ville's inequality).

    >>> round(float(np.exp(mcnemar_log_e(20, 5))), 1)
    79.0
    >>> round(float(np.exp(mcnemar_log_e(10, 10))), 3)
    0.18
    """
    b, c = np.asarray(won, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    with np.errstate(divide="ignore"):
        upper_tail = np.log(betainc(1 + c, 1 + b, 0.5))
    uniform = (b + c + 1) * np.log(2) + betaln(1 + b, 1 + c) + upper_tail
    points = [
        np.log(POINT_WEIGHT) + b * np.log(2 * q) + c * np.log(2 - 2 * q) for q in POINT_ALTERNATIVES
    ]
    log_e: Floats = logsumexp([*points, np.log(UNIFORM_WEIGHT) + uniform], axis=0)
    return log_e
