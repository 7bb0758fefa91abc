"""The rates of alarms of the drift rule: without a change, with a trivial one, and with a real one.

python -m benchmarks.drift_quality [SHARE OF THE CHECKS]

Seeded simulations. First 20 normal numbers, 20,000 reference rows and M current ones; a shift is
in half of the numbers, or in one alone. Next to the rule, on the same rows, are KS with p below
.05 and PSI above .1 in any feature. Then the check of how features go together alone. Last the
cases of benchmarks/drift_cases.py: ties, many names, accuracy, predictions, users and days.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow
from scipy.stats import ks_2samp

from benchmarks.drift_cases import CASES
from ratchet.drift.comparison import compare
from ratchet.drift.dependence import dependence
from ratchet.profile.bins import number_bins
from ratchet.profile.profile import NumberCounts, Profile
from ratchet.report import print_table
from ratchet.settings import DriftSettings

FEATURES, REFERENCE_ROWS = 20, 20_000
CHECKS = 10  # checks of one reference, because computing its bins is the slow part of a simulation
SETTINGS = DriftSettings()


@dataclass(frozen=True)
class Cell:
    truth: str
    rows: int
    shift: float  # standard deviations
    shifted: int
    references: int  # simulated, with CHECKS checks each
    least: float = 0.0
    most: float = 1.0


CELLS = (
    Cell("no drift", 200, 0.0, 0, 100, most=SETTINGS.alpha),
    Cell("no drift", 1000, 0.0, 0, 100, most=SETTINGS.alpha),
    Cell("trivial shift, .05 sd", 50_000, 0.05, 10, 20, most=0.0),
    Cell(".2 sd", 5000, 0.2, 10, 40, least=0.99),
    Cell(".4 sd", 200, 0.4, 10, 40, least=0.84),
    Cell(".2 sd, one feature alone", 5000, 0.2, 1, 40),
    Cell(".4 sd, one feature alone", 200, 0.4, 1, 40),
)
TOGETHER = (
    Cell("correlation .6 stays", 1000, 0.6, 2, 1000, most=SETTINGS.alpha),
    Cell("correlation .6 -> .3", 1000, 0.3, 2, 1000, least=0.83),
)


def main(share: float = 1.0) -> None:
    with ProcessPoolExecutor() as pool:
        rows = [_rates(cell, simulate, pool, share) for cell in CELLS]
        rows += [_rates(cell, simulate_together, pool, share) for cell in TOGETHER]
        rows += [_case(number, pool, share) for number in range(len(CASES))]
    print_table(rows)
    cells = [{**row, "truth": f"{row['truth']}, M={row['M']}"} for row in rows]
    print(json.dumps({"cells": cells, "holds": all(row["holds"] for row in rows)}))


def _rates(cell: Cell, simulation: Any, pool: ProcessPoolExecutor, share: float) -> dict[str, Any]:
    seeds = range(max(1, round(share * cell.references)))
    outcomes = [one for part in pool.map(partial(simulation, cell), seeds) for one in part]
    rates = {
        name: round(float(np.mean([one[name] for one in outcomes])), 4) for name in outcomes[0]
    }
    return {
        "truth": cell.truth,
        "M": cell.rows,
        "checks": len(outcomes),
        "KS p<.05": rates.get("ks"),
        "PSI>.1": rates.get("psi"),
        "the rule": rates["rule"],
        "at least": cell.least,
        "at most": cell.most,
        "holds": cell.least <= rates["rule"] <= cell.most,
    }


def _case(number: int, pool: ProcessPoolExecutor, share: float) -> dict[str, Any]:
    case = CASES[number]
    seeds = range(max(1, round(share * case.checks)))
    rate = float(np.mean(list(pool.map(partial(_drifted, number), seeds, chunksize=10))))
    return {
        "truth": case.truth,
        "M": case.rows,
        "checks": len(seeds),
        "the rule": round(rate, 4),
        "at least": case.least,
        "at most": case.most,
        "holds": case.least <= rate <= case.most,
    }


def _drifted(number: int, seed: int) -> bool:
    return CASES[number].drifted(seed)


def simulate(cell: Cell, seed: int) -> list[Mapping[str, bool]]:
    """Return for each check and each rule if any feature alarms."""
    rng = np.random.default_rng([seed, cell.rows, cell.shifted])
    before = rng.normal(size=(FEATURES, REFERENCE_ROWS))
    before.sort()
    bins = [number_bins(values) for values in before]
    reference = _profile(before, bins)
    return list(_checks(cell, before, bins, reference, rng))


def _checks(
    cell: Cell, before: np.ndarray, bins: list[Any], reference: Profile, rng: np.random.Generator
) -> Iterator[Mapping[str, bool]]:
    for _ in range(CHECKS):
        now = rng.normal(size=(FEATURES, cell.rows))
        now[: cell.shifted] += cell.shift
        drift = compare(reference, _profile(now, bins), None, SETTINGS)
        pairs = zip(before, now, strict=True)
        yield {
            "ks": any(ks_2samp(*pair, method="asymp").pvalue < 0.05 for pair in pairs),
            "psi": any((one.psi or 0.0) > 0.1 for one in drift.features.values()),
            "rule": drift.finding == "drifted",
        }


def _profile(columns: np.ndarray, bins: list[Any]) -> Profile:
    counts = {
        f"feature_{place}": NumberCounts("numeric", one, one.count(values))
        for place, (values, one) in enumerate(zip(columns, bins, strict=True))
    }
    return Profile(columns.shape[1], counts)


def simulate_together(cell: Cell, seed: int) -> list[Mapping[str, bool]]:
    """Check how features go together alone, at half of alpha as in the verdict."""
    rng = np.random.default_rng([seed, int(10 * cell.shift)])
    sides = _correlated(rng, cell.rows, 0.6), _correlated(rng, cell.rows, cell.shift)
    return [{"rule": dependence(*sides).p_value < SETTINGS.alpha / 2}]


def _correlated(rng: np.random.Generator, rows: int, correlation: float) -> pyarrow.Table:
    values = rng.normal(size=(FEATURES, rows))
    values[1] = correlation * values[0] + np.sqrt(1 - correlation**2) * values[1]
    return pyarrow.table({f"feature_{place}": column for place, column in enumerate(values)})


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
