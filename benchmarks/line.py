"""The cost of the whole line next to PyCaret's search alone: python -m benchmarks.line

The line runs on Iris, in a clone whose environments exist already. PyCaret's import, setup,
compare_models and finalize_model run on the same rows. The two run alternately. The first round
also makes what is made only once, and is not counted. Every round starts with an empty store.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.automl import LOCK, alone, make_project
from benchmarks.train import REPOSITORY, environment
from ratchet.environments import python_of
from ratchet.report import print_table

ROUNDS = 3
MOST_TIMES_PYCARET = 3.0
STORE = ("mlflow.db", "mlruns", "predictions.db", "predictions.db-wal", "predictions.db-shm")


def main() -> None:
    with TemporaryDirectory() as folder:
        search, clone = Path(folder, "search"), Path(folder, "clone")
        search.mkdir()
        options = make_project(search)
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        os.chdir(clone)
        python = python_of(Path(LOCK))
        turns = [
            (whole_line(clone), alone(search, python, *options, "as it comes"))
            for _ in range(1 + ROUNDS)
        ][1:]
        os.chdir(REPOSITORY)
    lines, searches = ([round(one, 1) for one in column] for column in zip(*turns, strict=True))
    ratio = median(lines) / median(searches)
    print_table(
        [
            {"median": name, "is": value, "at most": limit}
            for name, value, limit in (
                ("the whole line, seconds", median(lines), None),
                ("PyCaret's search alone, seconds", median(searches), None),
                ("the line, times the search", ratio, MOST_TIMES_PYCARET),
            )
        ]
    )
    print(
        json.dumps(
            {
                "line_seconds": lines,
                "pycaret_seconds": searches,
                "ratio": round(ratio, 2),
                "ratio_limit": MOST_TIMES_PYCARET,
                "holds": ratio <= MOST_TIMES_PYCARET,
            }
        )
    )


def whole_line(clone: Path) -> float:
    subprocess.run(["rm", "-rf", *STORE], cwd=clone, check=True)
    command = [sys.executable, "-m", "steps.main", "--config", "configs/models", "--until", "all"]
    began = time.perf_counter()
    subprocess.run(command, cwd=clone, env=environment(clone), check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
