"""Evidently's drift report, which benchmarks.drift_speed runs in an environment of its own.

python benchmarks/drift_evidently.py reference.parquet current.parquet psi|default
"""

import json
import sys
import time
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset


def main(reference: str, current: str, method: str) -> None:
    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    before = before[list(now)]
    texts = [str(name) for name in now if str(name).startswith("category")]
    definition = DataDefinition(
        numerical_columns=[str(name) for name in now if name not in texts],
        categorical_columns=texts,
    )
    preset = DataDriftPreset() if method == "default" else DataDriftPreset(method=method)
    started = time.perf_counter()
    snapshot = Report([preset]).run(
        Dataset.from_pandas(now, definition), Dataset.from_pandas(before, definition)
    )
    seconds = time.perf_counter() - started
    snapshot.save_html("evidently.html")
    print(json.dumps({"seconds": seconds, "drifted": drifted(snapshot.dict()["metrics"])}))


def drifted(metrics: list[dict[str, Any]]) -> list[str]:
    """Return the columns whose distance is above its threshold, or whose p-value is below it."""
    configs = [(metric["config"], metric["value"]) for metric in metrics]
    return sorted(
        config["column"]
        for config, value in configs
        if "column" in config
        and ((value < config["threshold"]) == ("p_value" in config["method"]))
        and value != config["threshold"]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
