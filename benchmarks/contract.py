"""The time of checking a contract on 1 million rows, next to pandera and pointblank.

python -m benchmarks.contract

16 columns of numbers with a range and a share of missing values, and 4 of categories with a list of
values; in two columns some rows break a rule. Every check runs in a new process, in turns. The
seconds of a check are those of reading the Parquet file and of all rules, without the imports; the
seconds of a process include them. CPU seconds are those of all threads; a busy machine changes them
less than the seconds of the clock, so the limit is on them. The peers are in an environment of
their own.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ratchet.environments import python_of
from ratchet.report import print_table

REPOSITORY = Path(__file__).parent.parent
LOCK = REPOSITORY / "benchmarks" / "requirements-contract.txt"
ROWS, ROUNDS = 1_000_000, 5
OURS, PEERS = "ratchet", ("pandera", "pandera-polars", "pointblank")
LIMIT = 2.0  # a library is used if it takes at most so many times the seconds of DuckDB
WORDS = ["red", "green", "blue", "black", "white"]


def main() -> None:
    python = str(python_of(LOCK))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder)
        commands = {OURS: [sys.executable, "-m", "benchmarks.contract_ours"]}
        script = str(REPOSITORY / "benchmarks/contract_peers.py")
        commands |= {peer: [python, script] for peer in PEERS}
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                more = [] if name == OURS else [name]
                files = [str(folder / "table.parquet"), str(folder / "rules.json")]
                runs[name].append(run([*command, *files, *more]))
    print_table(rows(runs))
    print(json.dumps(figures(runs)))


def write_tables(folder: Path) -> None:
    rng = np.random.default_rng(1)
    numbers = {f"number_{n}": rng.normal(size=ROWS) for n in range(16)}
    words = {f"word_{n}": rng.choice(np.array(WORDS, dtype=object), ROWS) for n in range(4)}
    frame = pd.DataFrame(numbers | words)
    for name in frame:
        frame.loc[rng.random(ROWS) < 0.02, name] = None
    frame.loc[:99, "number_3"] = 50.0
    frame.loc[500:549, "word_1"] = "pink"
    frame.to_parquet(folder / "table.parquet", index=False)
    frame.head(1000).to_parquet(folder / "small.parquet", index=False)
    rules: dict[str, Any] = {name: {"min": -10, "max": 10, "missing": 0.05} for name in numbers}
    rules |= {name: {"values": WORDS, "missing": 0.05} for name in words}
    (folder / "rules.json").write_text(json.dumps(rules))


def run(command: list[str]) -> dict[str, Any]:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    process = time.perf_counter() - started
    return dict(json.loads(done.stdout.splitlines()[-1])) | {"process": process}


def rows(runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    own = median(one["cpu"] for one in runs[OURS])
    return [
        {
            "check": name,
            "seconds": span([one["seconds"] for one in some]),
            "CPU seconds": span([one["cpu"] for one in some]),
            "times ours": f"{median(one['cpu'] for one in some) / own:.1f}",
            "peak MB": f"{median(one['peak MB'] for one in some):.0f}",
            "process": span([one["process"] for one in some]),
            "rows that break a rule": some[0]["broken_rows"],
        }
        for name, some in runs.items()
    ]


def span(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def figures(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    medians = {name: median(one["cpu"] for one in some) for name, some in runs.items()}
    quick = [peer for peer in PEERS if medians[peer] <= LIMIT * medians[OURS]]
    same = {one["broken_rows"] for some in runs.values() for one in some} == {150}
    memory = {name: median(one["peak MB"] for one in some) for name, some in runs.items()}
    more = {"peak MB": memory, "limit": LIMIT}
    return {"CPU seconds": medians, **more, "libraries within it": quick, "holds": same}


if __name__ == "__main__":
    main()
