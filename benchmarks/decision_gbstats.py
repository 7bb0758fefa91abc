"""gbstats' sequential test on counts, in its own environment: reads counts.npz, writes looks.json.

Its confidence sequence has the same error on each side; `sequential_tuning_parameter` is the
default.
"""

import json
import sys
from pathlib import Path

import numpy as np
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic


def first_look(counts: np.ndarray, config: SequentialConfig) -> tuple[int, int]:
    """Return the looks, counted from 1, at which a test is promoted and rejected; 0 means never."""
    for look, (n_a, right_a, n_b, right_b) in enumerate(counts.tolist(), 1):
        arms = [ProportionStatistic(n=n_a, sum=right_a), ProportionStatistic(n=n_b, sum=right_b)]
        low, high = SequentialTwoSidedTTest(*arms, config).compute_result().ci
        if low > 0 or high < 0:
            return (look, 0) if low > 0 else (0, look)
    return 0, 0


def main(file: str, answer: str) -> None:
    counts_by_scenario = np.load(file)
    config = SequentialConfig(alpha=0.1, difference_type="absolute")
    looks = {
        name: [first_look(counts, config) for counts in counts_by_scenario[name]]
        for name in counts_by_scenario.files
    }
    Path(answer).write_text(json.dumps(looks))


if __name__ == "__main__":
    main(*sys.argv[1:])
