"""Configs that fail in any stage, next to one that does not fail."""

import os
from pathlib import Path
from typing import Any

import mlflow
import pytest

from ratchet.data.split import Split, load_split
from ratchet.model.spec import ModelSpec, parse_spec
from ratchet.processes import Task, TaskError
from ratchet.registry.registry import Registry, Version
from ratchet.registry.tracking import step_run
from ratchet.settings import Settings
from ratchet.training import record
from ratchet.training.record import Outcome, train_and_register

GOOD = parse_spec("good", {"estimator": "GaussianNB"}, "good.yaml")
BAD = parse_spec("bad", {"estimator": "DecisionTreeClassifier"}, "bad.yaml")
SETTINGS = Settings.model_validate(
    {"model": "iris", "data": {"source": "iris", "target": "target"}}
)


def die(*_: Any) -> None:
    os.abort()


def fail(*_: Any) -> None:
    raise ValueError("no font\nfor 'Straße'")


class Refusing(Registry):
    """A registry that raises an error of several lines for one config."""

    def register(self, run_id: str, model_id: str, tags: Any) -> Version:
        if tags["config"] == "bad":
            raise RuntimeError("the server\nrefused\nthe version")
        return super().register(run_id, model_id, tags)


@pytest.fixture(scope="module")
def split() -> Split:
    return load_split(SETTINGS.data)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield Refusing(mlflow.MlflowClient(), "iris")
    mlflow.set_tracking_uri(None)


def train(specs: list[ModelSpec], split: Split, registry: Registry) -> dict[str, Outcome]:
    with step_run("train"):
        work = train_and_register(specs, split, SETTINGS, registry, force=False, jobs=2)
        return {outcome.config: outcome for outcome in work}


def artifact(condition: str, path: str) -> str:
    (run,) = mlflow.MlflowClient().search_runs(["0"], condition)
    return str(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{path}"))


def assert_only_bad_failed(outcomes: dict[str, Outcome], reason: str, output: str) -> None:
    assert (outcomes["good"].status, outcomes["bad"].status) == ("trained", "failed")
    assert reason in outcomes["bad"].reason
    assert "\n" not in outcomes["bad"].reason
    assert "Traceback" not in output
    assert "Traceback" in artifact("tags.step = 'train'", "failed/bad.txt")
    versions = mlflow.MlflowClient().search_model_versions("name = 'iris'")
    assert [version.tags["config"] for version in versions] == ["good"]


@pytest.mark.slow
def test_a_config_that_fails_in_fitting_fails_alone(
    split: Split, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    content = {"estimator": "KNeighborsClassifier", "params": {"n_neighbors": 5000}}
    outcomes = train([GOOD, parse_spec("bad", content, "bad.yaml")], split, registry)
    assert_only_bad_failed(
        outcomes, "Expected n_neighbors <= n_samples", "".join(capfd.readouterr())
    )


@pytest.mark.slow
def test_a_config_that_fails_in_saving_fails_alone(
    split: Split, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    params = {"early_stopping": True, "scoring": "accuracy", "max_iter": 2}
    content = {"estimator": "HistGradientBoostingClassifier", "params": params}
    outcomes = train([GOOD, parse_spec("bad", content, "bad.yaml")], split, registry)
    reason = "HistGradientBoostingClassifier with these params cannot be saved without pickle"
    assert_only_bad_failed(outcomes, reason, "".join(capfd.readouterr()))


@pytest.mark.slow
def test_a_config_that_fails_in_registering_fails_alone(
    split: Split, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = train([BAD, GOOD], split, registry)
    reason = "the server refused the version"
    assert_only_bad_failed(outcomes, reason, "".join(capfd.readouterr()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "reason"),
    [(f"{__name__}.die", "its process died"), (f"{__name__}.fail", "no font for 'Straße'")],
)
def test_a_config_that_fails_in_drawing_fails_alone(
    function: str,
    reason: str,
    split: Split,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    good = train([GOOD], split, registry)
    monkeypatch.setattr(record, "DRAW", function)
    outcomes = train([BAD], split, registry)
    assert (outcomes["bad"].status, good["good"].status) == ("failed", "trained")
    assert reason in outcomes["bad"].reason
    assert "Traceback" not in "".join(capfd.readouterr())
    assert len(mlflow.MlflowClient().search_model_versions("name = 'iris'")) == 1


@pytest.mark.slow
def test_warnings_of_a_training_are_in_the_log_of_its_run(
    split: Split, registry: Registry, capfd: pytest.CaptureFixture[str]
) -> None:
    content = {"estimator": "LogisticRegression", "params": {"max_iter": 1}}
    hasty = parse_spec("hasty", content, "hasty.yaml")
    for specs in ([hasty], [parse_spec("hasty2", content | {"params": {"max_iter": 2}}, ""), GOOD]):
        outcomes = train(specs, split, registry)
        assert {outcome.status for outcome in outcomes.values()} == {"trained"}
        log = artifact(f"tags.config = '{specs[0].name}'", "log.txt")
        assert "ConvergenceWarning" in log
    assert "ConvergenceWarning" not in "".join(capfd.readouterr())


def test_a_process_that_dies_is_an_error_of_one_line() -> None:
    with pytest.raises(
        TaskError, match="its process died with exit code -6; it may have run out of memory"
    ):
        Task("os.abort").result()


def test_the_output_of_a_task_goes_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert Task("os.system", "echo printed by a library", log=log).result() == 0
    assert log.read_text() == "printed by a library\n"


def test_a_result_that_cannot_be_sent_is_an_error_of_one_line() -> None:
    with pytest.raises(TaskError, match="cannot pickle"):
        Task("threading.Lock").result()
