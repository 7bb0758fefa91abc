"""The step promote over a real registry and a real log, as a person or a schedule calls it."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ratchet.record.registry import Registry
from ratchet.serving.prediction_log import PredictionLog
from tests.projects import BASELINE, new_project, run_step
from tests.traffic import records, rows_of_test

pytestmark = pytest.mark.slow

NEIGHBOURS = "configs/models/neighbours.json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 is prod; v2 is a version and nothing else."""
    project = new_project(tmp_path_factory.mktemp("line"))
    for config in (BASELINE, NEIGHBOURS):
        done = run_step(project, "train", config=config)
        assert done.returncode == 0, done.stderr
    registry_of(project).move({"prod": "1"}, "the first", "none")
    return project


def registry_of(project: Path) -> Registry:
    store = f"sqlite:///{project}/mlflow.db"
    return Registry(MlflowClient(store, store), "iris")


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """v1 is prod and v2 staging, with a log and a store of their own."""
    import shutil

    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    registry_of(folder).move({"staging": "2"}, "gate: best of 1", "none")
    return folder


def write_log(project: Path, **made: Any) -> None:
    log = PredictionLog(f"sqlite:///{project}/predictions.db")
    log.append_now(records(rows_of_test(**made)))
    log.close()


def report_of(project: Path) -> dict[str, Any]:
    return dict(json.loads((project / "reports/promote/promote.json").read_text()))


def promote(project: Path, **arguments: str) -> dict[str, Any]:
    done = run_step(project, "promote", **arguments)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return report_of(project)


def test_a_better_staging_becomes_prod_and_one_command_takes_it_back(project: Path):
    write_log(project, users=2000, prod=0.85, staging=0.95, seed=1)
    found = promote(project)
    assert (found["decision"], found["promoted"]) == ("promote", True)
    assert registry_of(project).aliases() == {"prod": "2", "previous": "1"}
    assert (
        run_step(project, "promote", action="rollback", reason="customers complain").returncode == 0
    )
    assert registry_of(project).aliases() == {"prod": "1"}
    assert [line.reason.split(":")[0] for line in registry_of(project).ledger()] == [
        "the first", "gate", "promote", "rollback by hand",
    ]  # fmt: skip
