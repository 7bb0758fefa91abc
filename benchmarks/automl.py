"""The cost of the whole step next to PyCaret alone, and the size of PyCaret's environment.

python -m benchmarks.automl

PyCaret alone is benchmarks/pycaret_alone.py in the same environment: import, setup, compare_models
and finalize_model on the same rows and folds, with PyCaret's defaults for everything else. The step
also tunes and blends, trains, and records everything. The step and PyCaret run alternately, so that
other load on the machine slows both alike. The first round fills the disk's cache and is not
counted.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.train import REPOSITORY, environment, seconds
from ratchet.automl.request import as_plain
from ratchet.data.split import load_split
from ratchet.environments import python_of
from ratchet.report import print_table
from ratchet.settings import read_settings

LOCK = "requirements-automl.txt"
STEP = ("steps.automl", "--write", "false", "--jobs", "0")
ALONE = REPOSITORY / "benchmarks" / "pycaret_alone.py"
ROUNDS = 3
MOST_TIMES_PYCARET = 1.3


def main() -> None:
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        project = Path(folder)
        options = make_project(project)
        began = time.perf_counter()
        python = python_of(Path(LOCK))
        environment = {
            "seconds": time.perf_counter() - began,
            "megabytes": megabytes(python.parents[1]),
        }
        turns = [one_turn(project, python, options) for _ in range(1 + ROUNDS)][1:]
        os.chdir(REPOSITORY)
    print_table(rows(turns, environment))
    print(json.dumps(figures(turns, environment)))


def make_project(folder: Path) -> list[str]:
    """Make the project and return PyCaret's arguments: training split, folds and seed."""
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    for name in ("MLproject", LOCK):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    settings = read_settings(folder / "configs/project.yaml")
    split = load_split(settings.data)
    features, target = split.train
    codes = np.searchsorted(split.table.classes, target)
    as_plain(features, split.table.kinds).assign(target=codes).to_parquet(folder / "train.parquet")
    return ["train.parquet", str(settings.automl.folds), str(settings.data.seed)]


def megabytes(folder: Path) -> float:
    """Return the space on the disk that the folder's files take."""
    files = (path.lstat() for path in folder.rglob("*"))
    return sum(512 * file.st_blocks for file in files) / 1e6


def one_turn(project: Path, python: Path, options: Sequence[str]) -> tuple[float, float, float]:
    """Return the seconds of the step, of PyCaret's defaults, and of PyCaret as in the step."""
    return (
        seconds(project, *STEP),
        alone(project, python, *options, "as it comes"),
        alone(project, python, *options, "as in the step"),
    )


def alone(project: Path, python: Path, *options: str) -> float:
    began = time.perf_counter()
    command = [str(python), str(ALONE), *options]
    subprocess.run(command, cwd=project, env=environment(project), check=True, capture_output=True)
    return time.perf_counter() - began


def rows(
    turns: Sequence[tuple[float, float, float]], environment: dict[str, float]
) -> list[dict[str, object]]:
    step, peer, quick = (median(column) for column in zip(*turns, strict=True))
    lines = [
        ("the step, seconds", step, None),
        ("PyCaret alone, as it comes, seconds", peer, None),
        ("PyCaret alone, on one core and without its cache, seconds", quick, None),
        ("the step, times PyCaret as it comes", step / peer, MOST_TIMES_PYCARET),
        ("the step, times PyCaret on one core and without its cache", step / quick, None),
        ("making the environment, seconds", environment["seconds"], None),
        ("the environment, megabytes", environment["megabytes"], None),
    ]
    return [{"median": name, "is": value, "at most": limit} for name, value, limit in lines]


def figures(
    turns: Sequence[tuple[float, float, float]], environment: dict[str, float]
) -> dict[str, object]:
    steps, peers, quick = ([round(one, 2) for one in column] for column in zip(*turns, strict=True))
    ratio = median(steps) / median(peers)
    return {
        "step_seconds": steps,
        "pycaret_seconds": peers,
        "pycaret_one_core_seconds": quick,
        "ratio": round(ratio, 3),
        "ratio_one_core": round(median(steps) / median(quick), 3),
        "ratio_limit": MOST_TIMES_PYCARET,
        "environment_seconds": round(environment["seconds"], 1),
        "environment_megabytes": round(environment["megabytes"]),
        "holds": ratio <= MOST_TIMES_PYCARET,
    }


if __name__ == "__main__":
    main()
