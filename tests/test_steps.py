"""The steps train, evaluate and history with a real store, called as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tests.projects import BASELINE, REPOSITORY, environment, heed_ctrl_c, new_project, run_step

pytestmark = pytest.mark.slow

PICTURES = {"metrics.png", "confusion_matrix.png", "reliability.png", "importances.png"}
METRICS = {
    "accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "log_loss",
    "brier",
    "calibration_error",
    "fit_seconds",
    "prediction_us",
}


def client_of(project: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{project}/mlflow.db", f"sqlite:///{project}/mlflow.db")


def outcomes(project: Path) -> dict[str, str]:
    report = json.loads((project / "reports/train/train.json").read_text())
    return {one["config"]: one["status"] for one in report["outcomes"]}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and gate all shipped configs, once for all tests."""
    project = new_project(tmp_path_factory.mktemp("line"))
    for step, arguments in (("train", {"config": "configs/models"}), ("evaluate", {})):
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    return project


def test_every_shipped_config_becomes_a_version(line: Path):
    versions = client_of(line).search_model_versions("name = 'iris'")
    names = {file.stem for file in (REPOSITORY / "configs/models").iterdir()}
    assert {version.tags["config"] for version in versions} == names
    assert len(versions) == len(names)


def test_a_run_has_everything_that_produced_its_model(line: Path):
    client = client_of(line)
    version = next(
        v for v in client.search_model_versions("name = 'iris'") if v.tags["config"] == "baseline"
    )
    run = client.get_run(version.run_id)
    assert run.data.params == {
        "estimator": "LogisticRegression",
        "solver": "lbfgs",
        "max_iter": "1000",
        "random_state": "42",
    }
    assert set(run.data.metrics) == METRICS
    assert {f.path for f in client.list_artifacts(version.run_id)} >= PICTURES | {"baseline.json"}
    tags = {"commit", "dirty", "branch", "config_sha256", "data_sha256", "lock_sha256", "python"}
    assert tags | {"ci_run", "environment"} <= set(run.data.tags)
    assert all(version.tags[tag] == run.data.tags[tag] for tag in tags)
    (dataset,) = run.inputs.dataset_inputs
    assert {tag.key: tag.value for tag in dataset.tags}["sha256"] == run.data.tags["data_sha256"]
    assert run.info.status == "FINISHED"


def test_the_model_is_an_ordinary_mlflow_model_with_signature_and_example(
    line: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(line)
    mlflow.set_tracking_uri(f"sqlite:///{line}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/iris@prod")
    example = model.input_example
    assert list(example.columns) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert set(model.predict(example)) <= {"setosa", "versicolor", "virginica"}
    native = mlflow.sklearn.load_model("models:/iris@prod")
    assert list(native.predict(example)) == list(model.predict(example))


def test_the_best_becomes_prod_and_the_ledger_says_so(line: Path):
    client = client_of(line)
    report = json.loads((line / "reports/evaluate/evaluate.json").read_text())
    prod = report["aliases"]["prod"]
    assert report["moved"] == "prod"
    scores = {number: verdict["score"] for number, verdict in report["verdicts"].items()}
    assert scores[prod] == max(scores.values())
    assert client.get_model_version("iris", prod).tags["stage"] == "Production"
    history = run_step(line, "history")
    assert f"v{prod}" in history.stdout
    assert len(history.stdout.strip().splitlines()) == 2


def test_a_second_train_skips_all_and_says_so(line: Path):
    done = run_step(line, "train", config="configs/models")
    assert done.returncode == 0
    assert set(outcomes(line).values()) == {"skipped"}
    assert "config, data and lock are those of v" in done.stdout


def test_a_second_evaluate_has_nothing_to_judge(line: Path):
    assert "No version waits for the gate" in run_step(line, "evaluate").stdout


def test_evaluate_refuses_to_judge_prod(line: Path):
    done = run_step(line, "evaluate", version="prod")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is prod; the gate compares others with it" in done.stderr


def test_only_what_changed_trains_and_a_broken_config_fails_alone(tmp_path: Path):
    project = new_project(tmp_path / "p")
    models = project / "configs/models"
    for file in models.iterdir():
        if file.stem not in ("baseline", "neighbours"):
            file.unlink()
    assert run_step(project, "train", config="configs/models").returncode == 0
    (models / "neighbours.json").write_text(
        '{"estimator": "KNeighborsClassifier", "params": {"n_neighbors": 3}}'
    )
    (models / "broken.yaml").write_text("estimator: LogisticRegresion\n")
    (models / "fails.yaml").write_text(
        "estimator: KNeighborsClassifier\nparams: {n_neighbors: 5000}\n"
    )
    (models / "unsaved.yaml").write_text(  # its scorer refers to itself; skops cannot write that
        "estimator: HistGradientBoostingClassifier\n"
        "params: {early_stopping: true, scoring: accuracy, max_iter: 2}\n"
    )
    done = run_step(project, "train", config="configs/models")
    assert done.returncode == 2
    assert "did you mean 'LogisticRegression'?" in done.stderr
    assert (
        "unsaved: HistGradientBoostingClassifier with these params cannot be saved" in done.stderr
    )
    assert "fails" in done.stderr
    assert "Traceback" not in done.stderr
    assert outcomes(project) == {
        "broken.yaml": "failed",
        "baseline": "skipped",
        "neighbours": "trained",
        "fails": "failed",
        "unsaved": "failed",
    }
    assert len(client_of(project).search_model_versions("name = 'iris'")) == 3
    run_step(project, "train", config=BASELINE, force="true")
    assert outcomes(project) == {"baseline": "trained"}


def test_a_worse_candidate_is_rejected_and_stays_so_unless_forced(tmp_path: Path):
    project = new_project(tmp_path / "p")
    run_step(project, "train", config=BASELINE)
    run_step(project, "evaluate")
    guess = project / "guess.yaml"
    guess.write_text("estimator: DummyClassifier\n")
    run_step(project, "train", config=str(guess))
    judged = run_step(project, "evaluate")
    assert "No candidate passed the gate" in judged.stdout
    assert client_of(project).get_model_version("iris", "2").tags["verdict"] == "rejected"
    again = run_step(project, "evaluate", version="2")
    assert again.returncode == 2
    assert "force=true judges it again" in again.stderr
    assert run_step(project, "evaluate", version="2", force="true").returncode == 0
    assert client_of(project).get_registered_model("iris").aliases == {"prod": 1}


def test_a_kill_leaves_no_version_without_a_model_and_the_next_train_ends_the_run(tmp_path: Path):
    project = new_project(tmp_path / "p")
    run_step(project, "train", config=BASELINE)
    (project / "slow.yaml").write_text(
        "estimator: RandomForestClassifier\nparams: {n_estimators: 20000}\n"
    )
    command = [sys.executable, "-m", "steps.train", "--config", "slow.yaml"]
    env = environment()
    dying = subprocess.Popen(command, cwd=project, env=env)
    client = client_of(project)
    end = time.monotonic() + 60
    while not client.search_runs(["0"], "attributes.status = 'RUNNING'"):
        assert time.monotonic() < end
        time.sleep(0.2)
    os.kill(dying.pid, signal.SIGKILL)
    dying.wait()
    assert len(client.search_model_versions("name = 'iris'")) == 1
    done = run_step(project, "train", config=BASELINE)
    assert "was left RUNNING by a process that was killed; it is KILLED now" in done.stdout
    assert client.search_runs(["0"], "attributes.status = 'RUNNING'") == []


def test_watch_trains_new_configs_and_waits_for_incomplete_ones(tmp_path: Path):
    project = new_project(tmp_path / "p")
    models = project / "configs/models"
    for file in models.iterdir():
        if file.stem != "baseline":
            file.unlink()
    command = [sys.executable, "-m", "steps.train", "--config", "configs/models", "--watch", "true"]
    env = environment()
    watching = subprocess.Popen(
        command,
        cwd=project,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    assert watching.stdout is not None
    try:
        for printed in watching.stdout:
            if printed.startswith("Watching"):
                break
        with (models / "late.yaml").open("w") as file:
            file.write("estimator: KNeighborsClassifier\nparams: {n_neigh")
            file.flush()
            time.sleep(1)
            file.write("bors: 9}\n")
        for printed in watching.stdout:
            if printed.startswith("late"):
                break
        client = client_of(project)
        (version,) = [
            v for v in client.search_model_versions("name = 'iris'") if v.tags["config"] == "late"
        ]
        assert client.get_run(version.run_id).data.params["n_neighbors"] == "9"
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(300) == 130


def test_a_step_in_actions_writes_the_summary_the_outputs_and_the_ci_run(tmp_path: Path):
    project = new_project(tmp_path / "p")
    env = {
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_RUN_ID": "77",
        "GITHUB_REPOSITORY": "me/iris",
        "GITHUB_REF_NAME": "main",
    }
    run_step(project, "train", env, config=BASELINE)
    assert "| baseline | trained | v1 |" in (tmp_path / "summary").read_text()
    assert (tmp_path / "output").read_text().startswith("trained=1\nversions=1\nreport<<")
    tags = client_of(project).get_model_version("iris", "1").tags
    assert tags["ci_run"] == "https://github.com/me/iris/actions/runs/77"
    assert tags["branch"] == "main"


def test_train_and_evaluate_need_no_pycaret(tmp_path: Path):
    (tmp_path / "pycaret.py").write_text("raise ImportError('PyCaret was asked for')\n")
    project = new_project(tmp_path / "project")
    blocked = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    for step, arguments in (("train", {"config": BASELINE}), ("evaluate", {})):
        done = run_step(project, step, blocked, **arguments)
        assert done.returncode == 0, done.stderr
    imports = "import ratchet, steps.train, steps.evaluate, steps.automl"
    command = [sys.executable, "-c", imports]
    assert subprocess.run(command, env=environment(**blocked), check=False).returncode == 0
