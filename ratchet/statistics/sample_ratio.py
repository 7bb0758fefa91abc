"""The sequential test of the sample ratio: does arm B hold the share of users that it should?"""

import numpy as np
from scipy.special import betaln, logsumexp

from ratchet.statistics.arrays import Counts, Floats

CONCENTRATIONS = (10.0, 1000.0)  # of the Beta priors: one for large faults, one for small ones


def sample_ratio_log_e(in_arm_b: Counts | int, units: Counts | int, split: float) -> Floats:
    """Return the log e-value that arm B's true share is not the split.

    The e-value is the mean of two likelihood ratios: a Beta-binomial with prior
    Beta(c * split, c * (1 - split)) against the binomial with the split itself; c is 10 and 1000.
    Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022.

    >>> round(float(sample_ratio_log_e(10_100, 20_000, 0.5)), 2)
    -1.16
    >>> round(float(sample_ratio_log_e(26_000, 50_000, 0.5)), 2)
    36.76
    """
    b = np.asarray(in_arm_b, dtype=float)
    a = np.asarray(units) - b
    alternatives = [
        betaln(c * split + b, c * (1 - split) + a) - betaln(c * split, c * (1 - split))
        for c in CONCENTRATIONS
    ]
    null = b * np.log(split) + a * np.log1p(-split)
    log_e: Floats = logsumexp(alternatives, axis=0) - np.log(len(CONCENTRATIONS)) - null
    return log_e
