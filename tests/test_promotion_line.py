"""A/B tests over real HTTP: a better version is promoted, a worse one rejected, a rollback."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from ratchet.registry.registry import Registry
from tests.projects import new_project, run_step
from tests.services import TOKEN, Service, move, serving, train

pytestmark = pytest.mark.slow

SETTINGS = {
    "model": "iris",
    "data": {"source": "corners.csv", "target": "corner"},
    "gate": {"floor": 0.1},
    "ab": {"split": 0.5},
    "promotion": {
        "min_labelled": 40,
        "min_errors": 0,
        "mde": 0.2,
        "min_days": 0,
        "window_days": 0,
    },
}
LINEAR = {"estimator": "LogisticRegression"}
TREE = {"estimator": "DecisionTreeClassifier", "params": {"max_depth": 4}}


def corners(rows: int, seed: int) -> pd.DataFrame:
    """Return data whose opposite corners have one class: only a tree separates them."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, rows))
    corner = np.where((x > 0) == (y > 0), "even", "odd")
    return pd.DataFrame({"x": x, "y": y, "corner": corner})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project: v1 and v3 guess, v2 is right."""
    folder = new_project(tmp_path_factory.mktemp("story"), SETTINGS)
    corners(600, seed=0).to_csv(folder / "corners.csv", index=False)
    models = folder / "configs/models"
    for file in models.iterdir():
        file.unlink()
    contents = {"guesses": LINEAR, "knows": TREE, "worse": LINEAR | {"params": {"C": 0.01}}}
    for name, content in contents.items():
        (models / f"{name}.json").write_text(json.dumps(content))
        train(folder, f"{name}.json")
    move(folder, prod="1", staging="2")
    return folder


def send_traffic(service: Service, users: int, seed: int) -> None:
    """Send each request as a different user, with its true label."""
    rows = corners(users, seed).itertuples()
    for start in range(0, users, 50):
        requests = [
            {
                "user_id": f"u{seed}-{row.Index}",
                "features": {"x": row.x, "y": row.y},
                "label": row.corner,
            }
            for row in [next(rows) for _ in range(50)]
        ]
        status, answer = service.post("/predict", requests)
        assert status == 200, (start, answer)


def promote(project: Path, **arguments: str) -> dict[str, Any]:
    done = run_step(project, "promote", env={"RATCHET_ADMIN_TOKEN": TOKEN}, **arguments)
    assert done.returncode == 0, done.stderr
    return dict(json.loads((project / "reports/promote/decision.json").read_text()))


def test_a_version_is_promoted_then_a_bad_one_is_rejected_then_prod_is_rolled_back(
    project: Path, tmp_path: Path
):
    store = f"sqlite:///{project}/mlflow.db"
    registry = Registry(MlflowClient(store, store), "iris")
    with serving(project, tmp_path) as service:
        send_traffic(service, 400, seed=1)
        result = promote(project, log=service.address)
        assert (result["decision"], result["promoted"]) == ("promote", True)
        assert result["evidence"]["users"] == result["evidence"]["labelled"] == 400
        assert result["arms"]["B"]["mean"] > 0.95
        assert result["arms"]["A"]["mean"] < 0.75
        assert registry.aliases() == {"prod": "2", "previous": "1"}

        move(project, staging="3")
        service.until(lambda: serves(service, "2", "3"))
        send_traffic(service, 400, seed=2)
        result = promote(project, log=f"sqlite:///{tmp_path}/predictions.db")
        assert (result["decision"], result["evidence"]["labelled"]) == ("reject", 400)
        assert registry.aliases() == {"prod": "2", "previous": "1"}

        promote(project, action="rollback", reason="a person says so")
        assert registry.aliases() == {"prod": "1"}
        service.until(lambda: serves(service, "1", None))
    assert [(line.reason.split(":")[0], dict(line.moves)) for line in registry.ledger()[1:]] == [
        ("promote", {"prod": ("1", "2"), "previous": (None, "1"), "staging": ("2", None)}),
        ("a test", {"staging": (None, "3")}),
        ("reject", {"staging": ("3", None)}),
        ("rollback by hand", {"prod": ("2", "1"), "previous": ("1", None)}),
    ]


def serves(service: Service, prod: str, staging: str | None) -> bool:
    status = service.get("/status")[1]
    return [one and one["version"] for one in (status["prod"], status["staging"])] == [
        prod,
        staging,
    ]
