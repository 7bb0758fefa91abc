"""The cost of a recorded run next to a bare fit, and the time that --help takes.

python -m benchmarks.train

A run is `steps.train` on the baseline, with an existing store. It alternates with
benchmarks.bare_fit, so that other load on the machine slows both alike. The times are those of
whole processes.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from ratchet.data.split import load_split
from ratchet.report import print_table
from ratchet.settings import read_settings

REPOSITORY = Path(__file__).parent.parent
RUN = ("steps.train", "--config", "configs/models/baseline.yaml", "--force", "true")
BARE = ("benchmarks.bare_fit",)
ROUNDS = 7
MOST_TIMES_A_BARE_FIT = 2.0
MOST_SECONDS_OF_HELP = 1.0


def main() -> None:
    with TemporaryDirectory() as folder:
        project = Path(folder)
        make_project(project)
        runs, bare = in_turns(project)
        helps = {step: median(help_seconds(step, project)) for step in steps()}
    print_table(rows(runs, bare, helps))
    print(json.dumps(figures(runs, bare, helps)))


def make_project(folder: Path) -> None:
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    for name in ("MLproject", "requirements.txt"):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    settings = read_settings(folder / "configs/project.yaml").data
    parts = load_split(settings)
    np.save(folder / "holdout.npy", parts.in_holdout)


def in_turns(project: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of runs and of bare fits, without the first: it fills the disk's cache."""
    pairs = [(seconds(project, *RUN), seconds(project, *BARE)) for _ in range(1 + ROUNDS)]
    return [run for run, _ in pairs[1:]], [fit for _, fit in pairs[1:]]


def steps() -> list[str]:
    return sorted(file.stem for file in (REPOSITORY / "steps").glob("[a-z]*"))


def help_seconds(step: str, project: Path, times: int = 5) -> list[float]:
    return [seconds(project, f"steps.{step}", "--help") for _ in range(times)]


def seconds(project: Path, module: str, *arguments: str) -> float:
    command = [sys.executable, "-m", module, *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=project, env=environment(project), check=True, capture_output=True)
    return time.perf_counter() - started


def environment(project: Path) -> dict[str, str]:
    """Return an environment with the project's own store, whichever store this shell uses."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    store = f"sqlite:///{project / 'mlflow.db'}"
    return kept | {"MLFLOW_TRACKING_URI": store}


def rows(
    runs: Sequence[float], bare: Sequence[float], helps: Mapping[str, float]
) -> list[dict[str, object]]:
    ratio = median(runs) / median(bare)
    lines = [
        ("a run on record, seconds", median(runs), None),
        ("a bare fit, seconds", median(bare), None),
        ("the run, times the bare fit", ratio, MOST_TIMES_A_BARE_FIT),
    ]
    lines += [
        (f"{step} --help, seconds", took, MOST_SECONDS_OF_HELP) for step, took in helps.items()
    ]
    return [{"median": name, "is": value, "at most": limit} for name, value, limit in lines]


def figures(
    runs: Sequence[float], bare: Sequence[float], helps: Mapping[str, float]
) -> dict[str, object]:
    ratio, slowest = median(runs) / median(bare), max(helps.values())
    return {
        "run_seconds": [round(one, 3) for one in runs],
        "bare_seconds": [round(one, 3) for one in bare],
        "ratio": round(ratio, 3),
        "ratio_limit": MOST_TIMES_A_BARE_FIT,
        "help_seconds": {step: round(took, 3) for step, took in helps.items()},
        "help_limit": MOST_SECONDS_OF_HELP,
        "holds": ratio <= MOST_TIMES_A_BARE_FIT and slowest <= MOST_SECONDS_OF_HELP,
    }


if __name__ == "__main__":
    main()
