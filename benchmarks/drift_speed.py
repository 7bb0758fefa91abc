"""The time and memory of a drift check, next to Evidently's report on the same Parquet file.

python -m benchmarks.drift_speed

1 million rows, 16 numbers and 4 categories, two of them shifted. A model is trained and made prod
on the reference, so its profile is stored. Then run in turns: our check alone and as a whole
process (with imports and MLflow's run), and Evidently's report with PSI and with its defaults, each
in a new process. Last comes our check of 10 million rows. Evidently is in .ratchet/evidently.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import yaml

from ratchet.environments import python_of
from ratchet.processes import Task
from ratchet.report import print_table

REPOSITORY = Path(__file__).parent.parent
LOCK = REPOSITORY / "benchmarks" / "requirements-evidently.txt"
ROWS = 1_000_000
SHIFTED = ["normal_0", "normal_1"]
LIMITS = {
    "alone, of psi": 1 / 40,
    "alone, of default": 1 / 100,
    "process, of psi": 1 / 12,
    "process, of default": 1 / 30,
    "peak MB": 400,
    "peak MB, 10 times the rows, ratio": 1.25,
    "seconds, 10 times the rows, ratio": 10,
}


@dataclass(frozen=True)
class Run:
    seconds: float
    cpu_seconds: float  # a busy machine changes them less than the seconds of the clock
    peak_mb: float
    output: Mapping[str, Any]


def main() -> None:
    python = str(python_of(LOCK))
    with TemporaryDirectory() as folder:
        project = Path(folder)
        make_project(project)
        step, alone = ours(project, "current.parquet", 5)
        peers = {
            method: run(
                project,
                python,
                str(REPOSITORY / "benchmarks/drift_evidently.py"),
                "reference.parquet",
                "current.parquet",
                method,
            )
            for method in ("psi", "default")
        }
        write_in_process(project / "large.parquet", 3, 0.5, parts=10)
        large, large_alone = ours(project, "large.parquet", 3)
    results = figures(step, alone, peers, large, large_alone)
    print_table(rows(results))
    print(json.dumps(results))


def make_project(folder: Path) -> None:
    (folder / "configs" / "models").mkdir(parents=True)
    settings = {
        "model": "wide",
        "data": {"source": "reference.parquet", "target": "outcome"},
        "gate": {"floor": 0.1},
    }
    (folder / "configs" / "project.yaml").write_text(yaml.safe_dump(settings))
    shutil.copy(REPOSITORY / "configs/models/baseline.yaml", folder / "configs/models")
    for name in ("MLproject", "requirements.txt"):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    write_in_process(folder / "reference.parquet", 1, 0.0, target=True)
    write_in_process(folder / "current.parquet", 2, 0.5)
    run(folder, sys.executable, "-m", "steps.train", "--config", "configs/models")
    run(folder, sys.executable, "-m", "steps.evaluate")


def write_in_process(
    path: Path, seed: int, shift: float, parts: int = 1, target: bool = False
) -> None:
    """Write in a process of its own: a child's peak memory includes that of its parent."""
    Task("benchmarks.drift_speed.write", path, seed, shift, parts, target).result()


def write(path: Path, seed: int, shift: float, parts: int, target: bool) -> None:
    """Write part by part, so that 10 million rows need little memory."""
    tables = (
        pyarrow.table(columns(np.random.default_rng([seed, part]), shift, target))
        for part in range(parts)
    )
    first = next(tables)
    with pyarrow.parquet.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table, row_group_size=122_880)


def columns(rng: np.random.Generator, shift: float, target: bool) -> dict[str, Any]:
    names: dict[str, Any] = {f"normal_{i}": rng.normal(size=ROWS) for i in range(8)}
    names |= {f"skewed_{i}": rng.lognormal(size=ROWS) for i in range(4)}
    names |= {f"count_{i}": rng.poisson(8, ROWS) for i in range(4)}
    for i in range(4):
        words = pyarrow.array([f"word {j}" for j in range(5 * (i + 1))])
        names[f"category_{i}"] = words.take(pyarrow.array(rng.integers(0, len(words), ROWS)))
    if target:
        names["outcome"] = np.where(names["normal_2"] + rng.normal(size=ROWS) > 0, "yes", "no")
    return names | {name: names[name] + shift for name in SHIFTED}


def ours(project: Path, current: str, times: int) -> tuple[list[Run], list[Run]]:
    step = (sys.executable, "-m", "steps.drift", "--current", current, "--reference", "prod")
    alone = (sys.executable, "-m", "benchmarks.drift_ours", current)
    pairs = [(run(project, *step), run(project, *alone)) for _ in range(times)]
    return [one for one, _ in pairs], [one for _, one in pairs]


def run(project: Path, *command: str) -> Run:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "GITHUB_"))}
    env = kept | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    started = time.perf_counter()
    with (project / "output").open("w+") as output:
        child = subprocess.Popen(command, cwd=project, env=env, stdout=output, stderr=output)
        _, code, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        lines = output.read().strip().splitlines()
    assert code == 0, lines[-20:]
    results = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, results)


def figures(
    step: list[Run],
    alone: list[Run],
    peers: Mapping[str, Run],
    large: list[Run],
    large_alone: list[Run],
) -> dict[str, Any]:
    check, process = median_of(alone), median(one.seconds for one in step)
    ratios = {
        "alone, of psi": check / peers["psi"].output["seconds"],
        "alone, of default": check / peers["default"].output["seconds"],
        "process, of psi": process / peers["psi"].seconds,
        "process, of default": process / peers["default"].seconds,
        "peak MB": max(one.peak_mb for one in step),
    }
    ratios["peak MB, 10 times the rows, ratio"] = (
        max(one.peak_mb for one in large) / ratios["peak MB"]
    )
    ratios["seconds, 10 times the rows, ratio"] = median_of(large_alone) / check
    agree = [alone[0].output["drifted"], *(one.output["drifted"] for one in peers.values())]
    return {
        "seconds_alone": round(check, 3),
        "seconds_process": round(process, 3),
        "seconds_alone_10_times_the_rows": round(median_of(large_alone), 3),
        "times_decoding": round(check / median(one.output["decoding"] for one in alone), 2),
        "evidently_seconds_alone": {m: round(p.output["seconds"], 1) for m, p in peers.items()},
        "cpu_seconds_process": round(median(one.cpu_seconds for one in step), 2),
        "evidently_cpu_seconds_process": {m: round(p.cpu_seconds, 1) for m, p in peers.items()},
        "evidently_seconds_process": {m: round(p.seconds, 1) for m, p in peers.items()},
        "evidently_peak_mb": {m: round(p.peak_mb) for m, p in peers.items()},
        "figures": {name: round(value, 4) for name, value in ratios.items()},
        "limits": {name: round(limit, 4) for name, limit in LIMITS.items()},
        "drifted": agree,
        "holds": all(ratios[name] <= limit for name, limit in LIMITS.items())
        and all(one == SHIFTED for one in agree),
    }


def median_of(runs: list[Run]) -> float:
    return float(median(one.output["seconds"] for one in runs))


def rows(results: Mapping[str, Any]) -> list[dict[str, object]]:
    return [
        {"median": name, "is": results["figures"][name], "at most": results["limits"][name]}
        for name in LIMITS
    ]


if __name__ == "__main__":
    main()
