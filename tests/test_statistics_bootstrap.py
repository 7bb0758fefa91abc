"""The paired bootstrap: its interval for few rows."""

import numpy as np

from ratchet.statistics.bootstrap import bootstrap_interval


def test_the_interval_of_a_mean_of_ten_values_misses_it_in_one_of_twenty_samples():
    """The plain percentile interval misses it in about one of ten."""
    rng = np.random.default_rng(6)
    missed = 0
    for seed in range(500):
        values = rng.normal(size=10)
        low, high = bootstrap_interval(
            lambda weights, values=values: weights @ values / 10,
            np.zeros(10, dtype=int),
            confidence=0.95,
            draws=400,
            seed=seed,
        )
        missed += not low <= 0 <= high
    assert 10 <= missed <= 37  # 5 %, and two and a half standard errors
