"""The step with small searches of the real PyCaret in its own environment."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest

from ratchet.automl.candidates import Candidate, leaderboard
from ratchet.automl.process import Search
from ratchet.automl.request import as_plain, write_request
from ratchet.automl.translation import as_spec
from ratchet.data.split import load_split
from ratchet.environments import python_of
from ratchet.settings import Settings
from ratchet.training.train import train
from tests.projects import (
    REPOSITORY,
    environment,
    free_port,
    heed_ctrl_c,
    new_project,
    process,
    run_step,
    share_environments,
)
from tests.tables import mixed_frame, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

LOCK = "requirements-automl.txt"
SEARCH = REPOSITORY / "ratchet/automl/search.py"
SMALL = {
    "estimators": ["LogisticRegression", "KNeighborsClassifier", "GaussianNB"],
    "folds": 3,
    "n_select": 2,
    "tune_iterations": 2,
}
IRIS = {"model": "iris", "data": {"source": "iris", "target": "target"}}


@pytest.fixture(scope="session")
def pycaret(request: pytest.FixtureRequest) -> Path:
    """Create PyCaret's environment once, in the folder that `make run` uses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return python_of(Path(LOCK))


@pytest.fixture
def pycaret_project(tmp_path: Path, pycaret: Path) -> Any:
    def make(settings: Mapping[str, Any], automl: Mapping[str, Any] = SMALL) -> Path:
        project = new_project(tmp_path / "project", {**settings, "automl": dict(automl)})
        shutil.copy(REPOSITORY / LOCK, project)
        return share_environments(project)

    return make


def mixed_settings(folder: Path) -> dict[str, Any]:
    path = write(mixed_frame(600), folder / "mixed.parquet")
    data = {"source": str(path), "target": "outcome", "kinds": {"branch": "categorical"}}
    return {"model": "mixed", "data": data}


def client_of(project: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db", f"sqlite:///{project}/mlflow.db")


def runs(project: Path, condition: str) -> list[Any]:
    return list(client_of(project).search_runs(["0"], condition))


def report(project: Path) -> dict[str, Any]:
    return dict(json.loads((project / "reports/automl/automl.json").read_text()))


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2, done
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("automl: ")]
    assert "Traceback" not in done.stderr
    return message


def test_a_table_of_strings_and_gaps_is_searched_trained_and_gated(
    pycaret_project: Any, tmp_path: Path
):
    project = pycaret_project(mixed_settings(tmp_path))
    done = run_step(project, "automl", write="true")
    assert done.returncode == 0, done.stderr
    result = report(project)
    assert result["agreement"] >= 0.9
    (search,) = runs(project, "tags.step = 'automl'")
    assert search.data.params["folds"] == "3"
    nested = runs(project, f"tags.mlflow.parentRunId = '{search.info.run_id}'")
    scored = [run for run in nested if "method" in run.data.tags]
    assert {run.data.tags["method"] for run in scored} == {"compare", "tune", "blend"}
    assert len(scored) == len(result["leaderboard"])
    for run in scored:
        folds = client_of(project).get_metric_history(run.info.run_id, "fold_accuracy")
        assert [fold.step for fold in folds] == [0, 1, 2]
        assert run.data.metrics["accuracy"] == pytest.approx(np.mean([f.value for f in folds]))
        assert run.data.metrics["seconds"] > 0
        assert run.data.params["estimator"]
        assert {"commit", "lock_sha256", "data_sha256", "automl_lock_sha256"} <= set(run.data.tags)
        assert run.info.status == "FINISHED"
    files = {file.path for file in client_of(project).list_artifacts(search.info.run_id, "report")}
    names = ("automl.json", "automl.md", "automl.yaml", "leaderboard.png", "environment.json")
    assert files >= {f"report/{name}" for name in names}
    versions = json.loads((project / "reports/automl/environment.json").read_text())
    assert versions["pycaret"] == "3.3.2"
    written = (project / "configs/models/automl.yaml").read_text()
    assert written == (project / "reports/automl/automl.yaml").read_text()
    again = run_step(project, "train", config="configs/models/automl.yaml")
    assert "config, data and lock are those of v1" in again.stdout
    assert run_step(project, "evaluate").returncode == 0
    assert client_of(project).get_model_version_by_alias("mixed", "prod").tags["config"] == "automl"


def test_a_seeded_search_gives_the_same_result_twice(pycaret_project: Any):
    project = pycaret_project(IRIS)
    results = []
    for _ in range(2):
        assert run_step(project, "automl").returncode == 0
        one = report(project)
        board = [{k: v for k, v in row.items() if k != "seconds"} for row in one["leaderboard"]]
        results.append((one["winner"], one["config"], board, one["version"]))
    assert results[0] == results[1]


@pytest.mark.parametrize("table", ["iris", "wine", "breast_cancer", "digits", "mixed"])
def test_the_trained_config_scores_as_pycarets_model_does(
    table: str, pycaret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The scores differ by at most one standard error of the holdout."""
    monkeypatch.chdir(tmp_path)
    data = {"model": table, "data": {"source": table, "target": "target"}}
    content = mixed_settings(tmp_path) if table == "mixed" else data
    automl = {"folds": 3, "budget_minutes": 2, "n_select": 2, "tune_iterations": 3}
    if table in ("breast_cancer", "digits"):
        automl |= {"estimators": ["LogisticRegression", "RandomForestClassifier", "SVC"]}
    settings = Settings.model_validate({**content, "automl": automl})
    split = load_split(settings.data)
    features, target = split.holdout
    with Search(pycaret, SEARCH, tmp_path / "reports") as search:
        request = write_request(split, settings, 0, search.folder)
        as_plain(features, split.table.kinds).to_parquet(request["sample"])
        search.ask(request)
        scored = [one for one in search.results() if isinstance(one, Candidate)]
        winner = leaderboard(scored, settings.metric)[0]
        labels = pd.read_parquet(search.finalise(winner))["label"]
    theirs = float((split.table.classes[labels] == target).mean())
    ours = train(as_spec(winner, settings.data.seed, False), split, settings.data.seed)
    # The standard error of a share, with Laplace's correction because the share may be 1.
    share = (theirs * len(target) + 1) / (len(target) + 2)
    error = float(np.sqrt(share * (1 - share) / len(target)))
    print(f"{table}: {winner.name}, ours {ours.metrics['accuracy']:.4f}, PyCaret's {theirs:.4f}")
    assert abs(ours.metrics["accuracy"] - theirs) <= error


def test_rare_classes_weigh_as_much_as_others_if_imbalance_is_set(
    pycaret_project: Any, tmp_path: Path
):
    frame = mixed_frame(600, classes=2)
    rare = frame[frame["outcome"] == "class 01"].head(40)
    common = frame[frame["outcome"] == "class 00"]
    path = write(pd.concat([common, rare]), tmp_path / "rare.parquet")
    project = pycaret_project(
        {"model": "rare", "metric": "f1", "data": {"source": str(path), "target": "outcome"}},
        SMALL | {"estimators": ["LogisticRegression", "RandomForestClassifier"], "imbalance": True},
    )
    done = run_step(project, "automl")
    assert done.returncode == 0, done.stderr
    assert "class_weight: balanced" in (project / "reports/automl/automl.yaml").read_text()


@pytest.mark.parametrize(
    ("table", "automl", "says"),
    [
        ("iris", {"budget_minutes": 0.0001}, "No candidate was scored on every fold within"),
        ("huge", {}, "All 3 candidates failed. LogisticRegression: "),
    ],
)
def test_a_search_that_finds_nothing_says_why(
    table: str, automl: dict[str, Any], says: str, pycaret_project: Any, tmp_path: Path
):
    """The variance of numbers near the largest float is too large for a float."""
    huge = np.random.default_rng(0).choice([1e308, -1e308], 60)
    pd.DataFrame({"a": huge, "target": ["x", "y"] * 30}).to_csv(tmp_path / "huge.csv", index=False)
    source = str(tmp_path / "huge.csv") if table == "huge" else table
    project = pycaret_project(
        {"model": table, "data": {"source": source, "target": "target"}}, SMALL | automl
    )
    assert says in one_line(run_step(project, "automl"))
    assert client_of(project).search_model_versions("") == []


def test_a_winner_that_disagrees_with_pycarets_model_is_registered_with_a_warning(
    pycaret_project: Any, tmp_path: Path
):
    """The huge numbers overflow in PyCaret's preparation; the gate judges the version."""
    huge = np.random.default_rng(0).choice([1e308, -1e308], 60)
    path = tmp_path / "huge.csv"
    pd.DataFrame({"a": huge, "target": ["x", "y"] * 30}).to_csv(path, index=False)
    project = pycaret_project(
        {"model": "huge", "data": {"source": str(path), "target": "target"}},
        SMALL | {"estimators": ["LGBMClassifier"]},
    )
    done = run_step(project, "automl")
    assert done.returncode == 0, done.stderr
    assert (
        "Warning: the agreement with PyCaret's model is below automl.agreement, 0.9" in done.stdout
    )
    assert report(project)["version"] == "1"
    assert report(project)["agreement"] < 0.9
    assert report(project)["warning"].startswith(
        "Warning: the agreement with PyCaret's model is below"
    )


def test_candidates_scored_before_the_disk_is_full_are_kept(pycaret_project: Any):
    project = pycaret_project(IRIS)
    reports = project / "reports"
    reports.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(reports)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        message = one_line(run_step(project, "automl"))
    finally:
        subprocess.run(["umount", str(reports)], check=True)
    assert "No space left" in message or "the disk is full" in message
    assert runs(project, "tags.method = 'compare'")


def test_the_best_candidate_so_far_wins_at_the_end_of_the_budget(pycaret_project: Any):
    digits = {"model": "digits", "data": {"source": "digits", "target": "target"}}
    slow = {"estimators": ["GaussianNB", "GradientBoostingClassifier"], "budget_minutes": 0.15}
    project = pycaret_project(digits, SMALL | slow)
    done = run_step(project, "automl")
    assert done.returncode == 0, done.stderr
    assert [row["candidate"] for row in report(project)["leaderboard"]] == ["GaussianNB"]
    assert report(project)["version"] == "1"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_candidates_scored_before_a_kill_are_recorded(how: signal.Signals, pycaret_project: Any):
    slow = {"estimators": ["GaussianNB", "GradientBoostingClassifier", "MLPClassifier"]}
    digits = {"model": "digits", "data": {"source": "digits", "target": "target"}}
    project = pycaret_project(digits, SMALL | slow)
    command = [sys.executable, "-m", "steps.automl", "--write", "false", "--jobs", "1"]
    step = subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    assert step.stdout is not None
    first = next(line for line in step.stdout if "GaussianNB" in line)
    assert first.startswith("accuracy 0.")
    search = [c for c in psutil.Process(step.pid).children() if "search.py" in str(c.cmdline())]
    step.send_signal(how)
    step.communicate()
    assert step.returncode == (-9 if how == signal.SIGKILL else 130)
    _, alive = psutil.wait_procs(search, timeout=300)
    assert search
    assert not alive
    (scored,) = runs(project, "tags.method = 'compare'")
    assert scored.info.status == "FINISHED"
    assert scored.data.params["estimator"] == "GaussianNB"
    quick = {**digits, "automl": {**SMALL, "estimators": ["GaussianNB"]}}
    (project / "configs/project.yaml").write_text(json.dumps(quick))
    done = run_step(project, "automl")
    assert done.returncode == 0, done.stderr
    assert not runs(project, "attributes.status = 'RUNNING'")


def test_a_search_that_ignores_the_budget_is_started_again_for_its_winner(
    pycaret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A fit in C does not handle signals; this test stops the whole process instead."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ratchet.automl.process.GRACE_SECONDS", 1.0)
    settings = Settings.model_validate({**IRIS, "automl": {**SMALL, "budget_minutes": 0.25}})
    split = load_split(settings.data)
    with Search(pycaret, SEARCH, tmp_path / "reports") as search:
        search.ask(write_request(split, settings, 0, search.folder))
        scored = []
        for one in search.results():
            if not scored:
                psutil.Process(search._process.pid).suspend()
            scored.append(one)
        assert isinstance(scored[0], Candidate)
        labels = pd.read_parquet(search.finalise(scored[0]))["label"]
    assert len(labels) == len(split.train[0])


def compared(leaderboard: list[dict[str, Any]]) -> list[tuple[str, float]]:
    rows = [(row["candidate"], row["accuracy"]) for row in leaderboard]
    assert len(rows) == 6  # three compared, two of them tuned, and a blend
    return [row for row in rows if row[0] in SMALL["estimators"]]


def test_a_dask_cluster_of_two_workers_finds_what_one_machine_finds(
    pycaret_project: Any, pycaret: Path, tmp_path: Path
):
    port = free_port()
    module = [str(pycaret), "-m", "distributed.cli."]
    scheduler = [*module[:2], "distributed.cli.dask_scheduler", "--port", str(port)]
    scheduler += ["--no-dashboard", "--host", "127.0.0.1"]
    worker = [*module[:2], "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}"]
    worker += ["--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
    project = pycaret_project(IRIS)
    assert run_step(project, "automl").returncode == 0
    alone = report(project)["leaderboard"]
    dask = {"parallel": "dask", "dask_address": f"tcp://127.0.0.1:{port}"}
    settings = {**IRIS, "automl": {**SMALL, **dask}}
    (project / "configs/project.yaml").write_text(json.dumps(settings))
    ports = [free_port(), free_port()]
    with (
        process(scheduler, tmp_path, port),
        process([*worker, "--worker-port", str(ports[0])], tmp_path, ports[0]),
        process([*worker, "--worker-port", str(ports[1])], tmp_path, ports[1]),
    ):
        time.sleep(3)
        done = run_step(project, "automl")
    assert done.returncode == 0, done.stderr
    together = report(project)["leaderboard"]
    # If PyCaret compares in parallel, either of two equal models may be tuned and blended.
    assert compared(together) == compared(alone)
    workers = {run.data.tags["worker"] for run in runs(project, "tags.worker LIKE 'tcp://%'")}
    assert len(workers) == 2
