"""The rates of alarms of the drift rule: without a change, with a trivial one, and with a real one.

python -m benchmarks.drift_quality [CHECKS OF A ROW] [CHECKS OF THE OTHER TOOLS]

Seeded simulations, a worker per core. First 20 normal numbers, 20,000 reference rows and M current
ones; a shift is in half of the numbers, or in one alone. Next to the rule, on the same rows, are KS
with p below .05 and PSI above .1 in any feature. Then the check of how features go together alone.
Last the cases of benchmarks/drift_cases.py: ties, many names, accuracy, predictions, users and
days. On the first checks of those without users and days, Evidently and NannyML look at the same
data.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from benchmarks.drift_cases import CASES
from ratchet.drift.comparison import compare
from ratchet.drift.dependence import dependence
from ratchet.environments import python_of
from ratchet.profile.bins import number_bins
from ratchet.profile.profile import NumberCounts, Profile
from ratchet.report import print_table
from ratchet.settings import DriftSettings

FEATURES, REFERENCE_ROWS = 20, 20_000
CHECKS = 10  # checks of one reference, because computing its bins is the slow part of a simulation
PEERS = ("evidently", "nannyml")
KS_05 = 1.3581  # P(sqrt(nm / (n + m)) * D > KS_05) is .05 for large n and m
REPOSITORY = Path(__file__).parent.parent
SETTINGS = DriftSettings()


@dataclass(frozen=True)
class Cell:
    truth: str
    rows: int
    shift: float  # standard deviations
    shifted: int
    checks: int = 1000
    least: float = 0.0
    most: float = 1.0


CELLS = (
    Cell("no drift", 200, 0.0, 0, most=SETTINGS.alpha),
    Cell("no drift", 1000, 0.0, 0, most=SETTINGS.alpha),
    Cell("trivial shift, .05 sd", 50_000, 0.05, 10, checks=200, most=0.0),
    Cell(".2 sd", 5000, 0.2, 10, checks=400, least=0.99),
    Cell(".4 sd", 200, 0.4, 10, checks=400, least=0.84),
    Cell(".2 sd, one feature alone", 5000, 0.2, 1, checks=400),
    Cell(".4 sd, one feature alone", 200, 0.4, 1, checks=400),
)
TOGETHER = (
    Cell("correlation .6 stays", 1000, 0.6, 2, most=SETTINGS.alpha),
    Cell("correlation .6 -> .3", 1000, 0.3, 2, least=0.83),
)


def main(checks: int = 1000, peer_checks: int = 10) -> None:
    peers = {peer: _peer_rates(peer, peer_checks) if peer_checks else {} for peer in PEERS}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        rows = [_rates(cell, simulate, pool, checks, CHECKS) for cell in CELLS]
        rows += [_rates(cell, simulate_together, pool, checks, 1) for cell in TOGETHER]
        rows += [_case(number, pool, checks, peers) for number in range(len(CASES))]
    print_table(rows)
    print(
        "A rate may exceed `at most` by two standard errors. The last five columns: the share of"
        " the checks with an alarm. KS and PSI: in any feature. Evidently and NannyML: in any"
        f" column, with their defaults, in {peer_checks} checks."
    )
    cells = [{**row, "truth": f"{row['truth']}, M={row['M']}"} for row in rows]
    print(json.dumps({"cells": cells, "holds": all(row["holds"] for row in rows)}))


def _rates(
    cell: Cell, simulation: Any, pool: ProcessPoolExecutor, checks: int, each: int
) -> dict[str, Any]:
    """Simulate `checks` checks, of which a seed gives `each`."""
    seeds = range(max(1, min(cell.checks, checks) // each))
    outcomes = [one for part in pool.map(partial(simulation, cell), seeds) for one in part]
    rates = {
        name: round(float(np.mean([one[name] for one in outcomes])), 4) for name in outcomes[0]
    }
    row = _row(cell.truth, cell.rows, len(outcomes), rates.pop("rule"), cell.least, cell.most)
    return row | {"KS p<.05": rates.get("ks"), "PSI>.1": rates.get("psi")}


def _case(
    number: int, pool: ProcessPoolExecutor, checks: int, peers: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    case = CASES[number]
    checks = checks if case.most < 1 else checks // 2  # false alarms are rare, and take more checks
    alarms = list(pool.map(partial(_drifted, number), range(checks), chunksize=CHECKS))
    rate = round(float(np.mean(alarms)), 4)
    row = _row(case.truth, case.rows, checks, rate, case.least, case.most)
    return row | {
        "Evidently": peers["evidently"].get(case.truth),
        "NannyML": peers["nannyml"].get(case.truth),
    }


def _row(
    truth: str, rows: int, checks: int, rate: float, least: float, most: float
) -> dict[str, Any]:
    highest = most + 2 * np.sqrt(most * (1 - most) / checks)
    return {
        "truth": truth,
        "M": rows,
        "checks": checks,
        "at least": least,
        "at most": most,
        "holds": bool(least <= rate <= highest),
        "the rule": rate,
        "KS p<.05": None,
        "PSI>.1": None,
        "Evidently": None,
        "NannyML": None,
    }


def _peer_rates(peer: str, checks: int) -> dict[str, float]:
    """Return the rate of alarms of each case that has data for other tools."""
    python = str(python_of(REPOSITORY / f"benchmarks/requirements-{peer}.txt"))
    with TemporaryDirectory() as folder:
        for case in CASES:
            if case.sides:
                place = Path(folder) / case.truth
                place.mkdir()
                for seed in range(checks):
                    for name, side in zip(("before", "now"), case.sides(seed), strict=True):
                        pd.DataFrame(side).to_parquet(place / f"{seed:04}-{name}.parquet")
        command = [python, "-m", "benchmarks.drift_peers", peer, folder]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
    rates: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return rates


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
        limit = KS_05 * np.sqrt(1 / REFERENCE_ROWS + 1 / cell.rows)
        pairs = zip(before, np.sort(now), strict=True)
        yield {
            "ks": any(_distance(*pair) > limit for pair in pairs),
            "psi": any((one.psi or 0.0) > 0.1 for one in drift.features.values()),
            "rule": drift.finding == "drifted",
        }


def _distance(before: np.ndarray, now: np.ndarray) -> float:
    """Return the KS distance of sorted values without ties."""
    below = np.searchsorted(before, now) / len(before)
    places = np.arange(len(now)) / len(now)
    return float(max((below - places).max(), (places + 1 / len(now) - below).max()))


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
    main(*map(int, sys.argv[1:]))
