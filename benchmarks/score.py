"""The step score compared with the least that scoring takes, and with MLflow's own ways.

python -m benchmarks.score [ROWS]

10 million rows of Parquet, 16 numbers and 4 categories, LightGBM with 100 trees. In turns, each in
a new process: the step; reading with pyarrow, Booster.predict in batches and writing with pyarrow
(`bare`). Both also score a tenth of the rows, next to MLflow's own ways: mlflow.pyfunc with pandas
in chunks, and `mlflow models predict`, which holds the whole table in memory, as CSV.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml

from benchmarks.drift_speed import REPOSITORY, Run, run, write_in_process
from ratchet.report import print_table

PART = 1_000_000
ROUNDS = 2
LIMITS = {"cpu seconds, of bare": 1.5, "peak MB": 600, "peak MB, of a tenth of the rows": 1.25}
CONFIG = {"estimator": "LGBMClassifier", "params": {"n_estimators": 100}}


def main(rows: int = 10_000_000) -> None:
    parts = max(rows // PART, 1)
    with TemporaryDirectory() as folder:
        project = Path(folder)
        make_project(project)
        write_in_process(project / "small.parquet", 3, 0.0, parts=max(parts // 10, 1))
        write_in_process(project / "large.parquet", 3, 0.0, parts=parts)
        small = {name: one_run(project, name, "small") for name in ("ratchet", "bare", "pyfunc")}
        small["mlflow models predict"] = one_run(project, "cli", "small")
        rounds = [
            {name: one_run(project, name, "large") for name in ("ratchet", "bare")}
            for _ in range(ROUNDS)
        ]
        agree = same_predictions(project)
    print_table(table({"a tenth": small, "all": rounds[0]}))
    print(json.dumps(figures(rows, small, rounds, agree)))


def make_project(folder: Path) -> None:
    (folder / "configs" / "models").mkdir(parents=True)
    settings = {
        "model": "wide",
        "data": {"source": "reference.parquet", "target": "outcome"},
        "gate": {"floor": 0.1},
    }
    (folder / "configs/project.yaml").write_text(yaml.safe_dump(settings))
    (folder / "configs/models/lightgbm.yaml").write_text(yaml.safe_dump(CONFIG))
    shutil.copy(REPOSITORY / "requirements.txt", folder)
    shutil.copy(REPOSITORY / "MLproject", folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    write_in_process(folder / "reference.parquet", 1, 0.0, target=True)
    run(folder, sys.executable, "-m", "steps.train", "--config", "configs/models")
    run(folder, sys.executable, "-m", "steps.evaluate")


def one_run(project: Path, name: str, size: str) -> Run:
    data, out = f"{size}.parquet", f"{name}-{size}.parquet"
    (project / out).unlink(missing_ok=True)
    if name == "ratchet":
        return run(project, sys.executable, "-m", "steps.score", "--data", data, "--out", out)
    return run(project, sys.executable, "-m", "benchmarks.score_peers", name, data, out)


def same_predictions(project: Path) -> bool:
    """Return whether the step and `bare` wrote the same classes and probabilities."""
    import pyarrow.parquet as pq

    ours, bare = (pq.ParquetFile(project / f"{name}-small.parquet") for name in ("ratchet", "bare"))
    names = ["prediction", "probability_no", "probability_yes"]
    return bool(ours.read(names).to_pandas().equals(bare.read(names).to_pandas()))


def table(sizes: Mapping[str, Mapping[str, Run]]) -> list[dict[str, object]]:
    return [
        {
            "rows": size,
            "by": name,
            "CPU s": round(one.cpu_seconds, 1),
            "s": round(one.seconds, 1),
            "peak MB": round(one.peak_mb),
        }
        for size, runs in sizes.items()
        for name, one in runs.items()
    ]


def figures(
    rows: int,
    small: Mapping[str, Run],
    rounds: list[dict[str, Run]],
    agree: bool,
) -> dict[str, object]:
    ratios = [one["ratchet"].cpu_seconds / one["bare"].cpu_seconds for one in rounds]
    peak = max(one["ratchet"].peak_mb for one in rounds)
    measured = {
        "cpu seconds, of bare": median(ratios),
        "peak MB": peak,
        "peak MB, of a tenth of the rows": peak / small["ratchet"].peak_mb,
    }
    return {
        "rows": rows,
        "cpu_seconds": round(median(one["ratchet"].cpu_seconds for one in rounds), 1),
        "cpu_seconds_bare": round(median(one["bare"].cpu_seconds for one in rounds), 1),
        "cpu_seconds_a_tenth": {name: round(one.cpu_seconds, 1) for name, one in small.items()},
        "peak_mb_a_tenth": {name: round(one.peak_mb) for name, one in small.items()},
        "ratios": [round(one, 3) for one in ratios],
        "figures": {name: round(value, 3) for name, value in measured.items()},
        "limits": LIMITS,
        "same_predictions": agree,
        "holds": agree and all(measured[name] <= limit for name, limit in LIMITS.items()),
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
