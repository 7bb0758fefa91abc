"""The whole line in a checkout with the user's own table: once, stopped, repeated, and in part."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from ratchet.registry.registry import Registry
from tests.projects import (
    clone,
    environment,
    heed_ctrl_c,
    new_project,
    run,
    run_step,
    share_environments,
)
from tests.tables import mixed_frame, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = {
    "model": "customers",
    "data": {"source": "customers.csv", "target": "outcome", "kinds": {"branch": "categorical"}},
    "automl": {
        "estimators": ["LogisticRegression", "GaussianNB"],
        "folds": 3,
        "budget_minutes": 0.5,
        "n_select": 1,
        "tune_iterations": 0,
    },
    "ab": {"staging_timeout_ms": 60_000.0},  # however busy the machine, staging answers itself
    "promotion": {"guardrails": {"latency_p99_ms": None}, "min_days": 0, "window_days": 0},
}
CONFIGS = ("baseline.yaml", "neighbours.json")
ALONE = [sys.executable, "-m", "steps.main", "--demo", "true"]
BY_MLFLOW = ["mlflow", "run", ".", "--env-manager", "local", "-P", "demo=true"]
STAGES = {
    "train": "trained=2, versions=1,2",
    "evaluate": "moved=true",
    "package": "versions=v",  # whichever of the two was trained first
    "traffic": "agrees=true",
    "drift": "drifted=true, verdict=drifted",
    "automl": "found=true, version=3",
    "gate": "moved=true",
    "test": "agrees=true",
    "promote": "decision=promote, promoted=true",
    "rollback": "decision=rollback, promoted=false",
    "history": "moves=7",
}
FIRST = ["gate: best of 2 by accuracy"]
TESTED = [
    "gate: best of 1 by accuracy",
    "demonstration: promote: staging is better",
    "demonstration: rollback by hand: the whole line shows the way back",
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout with a mixed table; its second row, the example, lacks a date."""
    tree = share_environments(clone(tmp_path_factory.mktemp("line") / "checkout"))
    write(mixed_frame(600), tree / "customers.csv")
    (tree / "configs/project.yaml").write_text(yaml.safe_dump(SETTINGS))
    for file in (tree / "configs/models").iterdir():
        if file.name not in CONFIGS:
            file.unlink()
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "My own data"]):
        assert run(["git", *command], tree).returncode == 0
    return tree


@pytest.fixture(scope="module")
def output(checkout: Path) -> str:
    """Return the output of the line, run as the README says."""
    done = run(BY_MLFLOW, checkout, BENTOML_HOME=bentos(checkout))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bentos(checkout: Path) -> str:
    return str(checkout.parent / "bentoml")


def client_of(checkout: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{checkout}/mlflow.db", f"sqlite:///{checkout}/mlflow.db")


def runs(checkout: Path, condition: str = "") -> list[Any]:
    return list(client_of(checkout).search_runs(["0"], condition))


def reasons(checkout: Path, beginnings: list[str]) -> list[str]:
    """Return the start of each ledger line's reason, as long as the expected beginning."""
    lines = ledger(checkout)
    return [line.reason[: len(b)] for line, b in zip(lines, beginnings, strict=True)]


def ledger(checkout: Path) -> list[Any]:
    return Registry(client_of(checkout), "customers").ledger()


def end_table(output: str) -> dict[str, str]:
    """Return the outcome of each stage."""
    rows = output.partition("stage     seconds  outcome")[2].partition("\n\n")[0]
    return {stage: what for stage, _, what in (r.split(maxsplit=2) for r in rows.splitlines()[1:])}


def requests_logged(checkout: Path) -> int:
    with sqlite3.connect(checkout / "predictions.db") as connection:
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])


def test_every_stage_is_in_the_table_at_the_end(output: str):
    outcomes = end_table(output)
    assert list(outcomes) == list(STAGES)
    for stage, outcome in STAGES.items():
        assert outcome in outcomes[stage]


def test_every_step_is_a_child_run_of_the_line(checkout: Path, output: str):
    (line,) = runs(checkout, "tags.step = 'main'")
    below = runs(checkout, f"tags.mlflow.parentRunId = '{line.info.run_id}'")
    assert sorted(run.data.tags["step"] for run in below) == [
        "automl",
        "drift",
        "evaluate",
        "evaluate",
        "package",
        "promote",
        "promote",
        "traffic",
        "traffic",
        "train",
    ]
    assert {run.info.status for run in runs(checkout)} == {"FINISHED"}


def test_the_ledger_has_a_line_for_every_move(checkout: Path, output: str):
    assert reasons(checkout, [*FIRST, *TESTED]) == [*FIRST, *TESTED]


def test_the_demonstration_is_announced_and_marked_in_the_registry(checkout: Path, output: str):
    assert "Demonstration: the next 500 requests are rows of the holdout, shifted by" in output
    assert "Demonstration: the labels of the next 800 requests are drawn so that" in output
    steps = {run.data.tags["step"] for run in runs(checkout, "tags.demo = 'true'")}
    assert steps == {"traffic", "drift", "promote"}
    versions = client_of(checkout).search_model_versions("name = 'customers'")
    moved = {move for line in ledger(checkout)[2:] for pair in line.moves.values() for move in pair}
    assert {v.version for v in versions if v.tags.get("demo") == "true"} == {
        *map(int, moved - {None})
    }


def test_a_table_of_text_dates_and_gaps_is_served_and_leaves_the_tree_clean(
    checkout: Path, output: str
):
    assert "500 requests were answered in" in output
    assert "800 requests were answered in" in output
    assert "not answered" not in output
    assert run(["git", "status", "--porcelain"], checkout).stdout == ""
    assert {run.data.tags["dirty"] for run in runs(checkout)} == {"false"}


@pytest.mark.parametrize("how", ["Ctrl-C under mlflow run", "kill"])
def test_a_line_stopped_during_traffic_leaves_no_process_and_no_open_run(
    how: str, checkout: Path, output: str
):
    before = requests_logged(checkout)
    line = subprocess.Popen(
        ALONE,
        cwd=checkout,
        env=environment(BENTOML_HOME=bentos(checkout)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    while requests_logged(checkout) == before:
        assert line.poll() is None
        time.sleep(0.05)
    started = psutil.Process(line.pid).children(recursive=True)
    assert any("bentoml" in one.cmdline() for one in started)
    if how != "kill":
        os.killpg(line.pid, signal.SIGINT)  # MLflow gets the signal too, and prints the same again:
    line.terminate()
    last_output, _ = line.communicate(timeout=300)
    assert line.returncode == 130
    assert last_output.endswith("main: stopped\n")
    assert "Traceback" not in last_output
    assert requests_logged(checkout) < before + 500
    assert runs(checkout, "attributes.status = 'RUNNING'") == []
    assert alive(started) == []


def alive(processes: list[psutil.Process], seconds: float = 120) -> list[psutil.Process]:
    """Wait for the processes to end, and return those that still run.

    A zombie counts as ended: without a parent that waits for it, it stays a zombie.
    """
    end = time.monotonic() + seconds
    while left := [one for one in processes if runs_on(one)]:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return left


def runs_on(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_line_runs_again_on_the_same_store(checkout: Path, output: str):
    done = run(ALONE, checkout, BENTOML_HOME=bentos(checkout))
    assert done.returncode == 0, done.stdout + done.stderr
    again = {
        "train": "trained=0",
        "evaluate": "moved=false",
        "drift": "drifted=false, verdict=drifted",  # retraining was asked for minutes ago
        "history": "moves=13",
    }
    outcomes = end_table(done.stdout)
    for stage, outcome in (STAGES | again).items():
        assert outcome in outcomes[stage]
    assert reasons(checkout, [*FIRST, *TESTED, *TESTED]) == [*FIRST, *TESTED, *TESTED]
    assert run(["git", "status", "--porcelain"], checkout).stdout == ""


def test_the_demonstration_runs_on_the_users_own_table_only_if_requested(
    checkout: Path, output: str
):
    before = requests_logged(checkout), len(ledger(checkout))
    done = run(ALONE[:3], checkout, BENTOML_HOME=bentos(checkout))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(end_table(done.stdout)) == [
        "train",
        "evaluate",
        "package",
        "automl",
        "gate",
        "history",
    ]
    new = [line.reason for line in ledger(checkout)[before[1] :]]
    assert [reason for reason in new if not reason.startswith("gate: ")] == []
    assert requests_logged(checkout) == before[0]


def test_the_line_ends_after_the_requested_stage(tmp_path: Path):
    done = run_step(
        new_project(tmp_path), "main", config="configs/models/baseline.yaml", until="evaluate"
    )
    assert done.returncode == 0, done.stderr
    assert list(end_table(done.stdout)) == ["train", "evaluate"]


def test_stages_of_the_demonstration_are_refused_if_it_is_off(tmp_path: Path):
    project = new_project(tmp_path, SETTINGS)
    done = run_step(project, "main", until="drift")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "main: until=drift is a stage of the demonstration; ask for it: -P demo=true\n"
    )
    done = run_step(project, "main", demo="yes")
    assert done.stderr == "main: demo=yes: expected auto, true or false\n"


@pytest.mark.parametrize(
    ("until", "env", "message"),
    [
        ("evalute", {}, "until=evalute is not a stage; did you mean 'evaluate'?"),
        (
            "all",
            {"RATCHET_LOG_URL": "postgresql://u:secret@db/log"},
            "RATCHET_LOG_URL is the address of a server",
        ),
        (
            "test",
            {"MLFLOW_TRACKING_URI": "http://db"},
            "MLFLOW_TRACKING_URI is the address of a server",
        ),
    ],
)
def test_wrong_arguments_are_an_error_of_one_line_before_anything_runs(
    until: str, env: dict[str, str], message: str, tmp_path: Path
):
    done = run_step(new_project(tmp_path), "main", env, config="configs/models", until=until)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"main: {message}")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()
