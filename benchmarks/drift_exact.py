"""The error of PSI and the KS distance when they are read from a profile's counts.

python -m benchmarks.drift_exact

Numbers of eight shapes, each shifted, stretched and mirrored, are read from Parquet files as a
check reads them: 1 million rows against 300,000, with bins from a sample, and 2000 against 900. KS
is compared with scipy's, PSI with its definition on the same deciles if no bin is empty.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from ratchet.drift.comparison import compare
from ratchet.drift.difference import Difference
from ratchet.profile.profile import NumberCounts, Profile
from ratchet.profile.reading import read_current, read_reference
from ratchet.report import print_table
from ratchet.settings import DataSettings, DriftSettings

KS_LIMIT, PSI_LIMIT = 0.002, 1e-9
SIZES = ((1_000_000, 300_000), (2000, 900))
ERRORS = ("KS error", "PSI error")
SETTINGS = DataSettings(source="reference.parquet", target="(none)")


def main() -> None:
    rows = [row for sizes in SIZES for row in compared(*sizes)]
    print_table(rows)
    ks, psi = (max(row[name] for row in rows if row[name] is not None) for name in ERRORS)
    print(
        json.dumps(
            {
                "ks_error": ks,
                "ks_limit": KS_LIMIT,
                "psi_error": psi,
                "psi_limit": PSI_LIMIT,
                "columns": len(rows),
                "holds": bool(ks <= KS_LIMIT and psi <= PSI_LIMIT),
            }
        )
    )


def shapes(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    uniform = rng.random(rows)
    return {
        "continuous": rng.normal(size=rows),
        "uniform": uniform,
        "discrete": rng.integers(0, 12, rows).astype(float),
        "tied": np.where(uniform < 0.4, 0.0, rng.exponential(size=rows)),
        "rounded": rng.normal(size=rows).round(1),
        "constant": np.full(rows, 3.5),
        "skewed": rng.lognormal(0, 3, size=rows),
        "heavy tail": rng.zipf(1.5, rows).astype(float),
    }


def changed(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    changes = {"same": columns}
    changes["shifted"] = {name: values + 0.07 for name, values in columns.items()}
    changes["stretched"] = {name: values * 1.1 for name, values in columns.items()}
    changes["mirrored"] = {name: -values for name, values in columns.items()}
    return {f"{n}, {how}": v for how, these in changes.items() for n, v in these.items()}


def compared(n: int, m: int) -> list[dict[str, Any]]:
    first, second = (shapes(np.random.default_rng(seed), rows) for seed, rows in ((1, n), (2, m)))
    now = changed(second)
    before = {name: first[name.split(",")[0]] for name in now}
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{side}.parquet") for side in ("reference", "current")]
        for file, columns in zip(files, (before, now), strict=True):
            pd.DataFrame(columns).to_parquet(file)
        reference = read_reference(files[0], SETTINGS).profile
        current = read_current(files[1], SETTINGS, reference)[0].profile
    features = compare(reference, current, None, DriftSettings()).features
    return [
        {
            "column": name,
            "rows": f"{n:,} and {m:,}",
            "KS": one.ks,
            "KS error": abs((one.ks or 0.0) - float(ks_2samp(before[name], now[name]).statistic)),
            "PSI": one.psi,
            "PSI error": psi_error(one, reference, name, before[name], now[name]),
        }
        for name, one in features.items()
    ]


def psi_error(
    one: Difference, reference: Profile, name: str, before: np.ndarray, now: np.ndarray
) -> float | None:
    counts = reference.features[name]
    assert isinstance(counts, NumberCounts)
    bins = len(counts.bins.coarse) + 1
    p, q = (
        np.bincount(np.searchsorted(counts.bins.coarse, side), minlength=bins) / len(side)
        for side in (before, now)
    )
    used = (p > 0) | (q > 0)
    p, q = p[used], q[used]
    if not p.all() or not q.all():
        return None
    return abs(float(np.sum((q - p) * np.log(q / p))) - (one.psi or 0.0))


if __name__ == "__main__":
    main()
