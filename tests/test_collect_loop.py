"""The closed loop: data drift, labels come, collect, search, gate, A/B test, and a better prod."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from ratchet.model import model_file
from ratchet.registry.registry import Registry
from tests.projects import REPOSITORY, new_project, run_step, share_environments
from tests.services import TOKEN, Service, serving

pytestmark = pytest.mark.slow

TREE = {"estimator": "DecisionTreeClassifier", "params": {"max_depth": 6}}
SETTINGS = {
    "model": "sides",
    "data": {"source": "sides.csv", "target": "side", "log": {"days": 30}},
    "gate": {"floor": 0.1},
    "ab": {"split": 0.5},
    "automl": {
        "estimators": ["DecisionTreeClassifier"],
        "folds": 3,
        "n_select": 1,
        "tune_iterations": 0,
    },
    "promotion": {
        "min_labelled": 40,
        "min_errors": 0,
        "mde": 0.2,
        "min_days": 0,
        "window_days": 0,
    },
}


def sides(rows: int, seed: int, center: float) -> pd.DataFrame:
    """Return rows around the center, which divides the two classes. The drift moves the center."""
    rng = np.random.default_rng(seed)
    x = center + rng.normal(size=rows)
    side = np.where(x > center, "right", "left")
    return pd.DataFrame({"x": x, "y": rng.normal(size=rows), "side": side})


def drifted(rows: int, seed: int) -> pd.DataFrame:
    return sides(rows, seed, center=5.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    folder = new_project(tmp_path / "project", SETTINGS)
    sides(600, seed=0, center=0.0).to_csv(folder / "sides.csv", index=False)
    for file in (folder / "configs/models").iterdir():
        file.unlink()
    (folder / "configs/models/tree.json").write_text(json.dumps(TREE))
    shutil.copy(REPOSITORY / "requirements-automl.txt", folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    yield share_environments(folder)
    mlflow.set_tracking_uri(None)


def send(service: Service, seed: int) -> None:
    for start in range(0, 400, 50):
        rows = drifted(400, seed).iloc[start : start + 50]
        requests = [
            {
                "user_id": f"u{seed}-{row.Index}",
                "features": {"x": row.x, "y": row.y},
                "label": row.side,
            }
            for row in rows.itertuples()
        ]
        assert service.post("/predict", requests)[0] == 200


def step(project: Path, name: str, **arguments: str) -> dict[str, Any]:
    done = run_step(project, name, env={"RATCHET_ADMIN_TOKEN": TOKEN}, **arguments)
    assert done.returncode == 0, done.stderr
    report = {"promote": "decision"}.get(name, name)
    return dict(json.loads((project / f"reports/{name}/{report}.json").read_text()))


def accuracy(registry: Registry, version: str) -> float:
    """Return the accuracy of a version on new rows after the drift."""
    rows = drifted(500, seed=99)
    model = model_file.load(registry.folder(registry.version(version)))
    return float((model.predict(rows[["x", "y"]]) == rows["side"]).mean())


def test_collected_labels_bring_the_accuracy_on_drifted_data_back(
    project: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{project}/mlflow.db"
    registry = Registry(MlflowClient(store, store), "sides")
    log = f"sqlite:///{tmp_path}/predictions.db"
    step(project, "train", config="configs/models/tree.json")
    step(project, "evaluate")
    assert registry.aliases() == {"prod": "1"}
    assert accuracy(registry, "1") < 0.6
    with serving(project, tmp_path) as service:
        send(service, seed=1)
        assert step(project, "drift", current=log)["verdict"] == "drifted"

        without = step(project, "automl")["version"]
        assert accuracy(registry, without) < 0.6  # the source alone knows nothing of the drift

        collected = step(project, "collect", log=log)
        assert (collected["rows"], collected["arms"], collected["versions"]) == (
            400,
            {"A": 1.0},
            {"1": 1.0},
        )
        assert "all collected requests were answered by v1" in collected["warnings"][0]
        found = step(project, "automl")["version"]
        assert accuracy(registry, found) > 0.9
        step(project, "evaluate", version=found)
        assert registry.aliases() == {"prod": "1", "staging": found}
        split = registry.version(found).tags["split"]
        assert "400 rows are collected from the prediction log" in split

        service.until(lambda: (service.get("/status")[1]["staging"] or {}).get("version") == found)
        send(service, seed=2)
        assert step(project, "promote", log=log)["decision"] == "promote"
    assert registry.aliases() == {"prod": found, "previous": "1"}
