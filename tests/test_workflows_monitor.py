"""monitor.yml, run by act: with and without drift, by schedule and by hand."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from tests.acting import ACT, MISSING, Fork, new_fork
from tests.github import GitHub, serving
from tests.projects import run
from tests.stores import lock_is_held, store_on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]
QUICK = {"budget_minutes": 2.0, "folds": 2, "n_select": 1, "tune_iterations": 0}
QUICK |= {"estimators": ["GaussianNB"]}


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> Fork:
    """Return a fork with one version in production."""
    settings = {"automl": QUICK}
    fork = new_fork(tmp_path_factory.mktemp("first"), github, settings)
    acted = fork.act("push", "train", fork.checkout("tree"), job="train")
    assert acted.code == 0, acted.output
    return fork


@pytest.fixture
def fork(first: Fork, tmp_path: Path, github: GitHub) -> Fork:
    github.issues.clear()
    github.pulls.clear()
    return first.copy(tmp_path / "fork", github)


def arriving(folder: Path, shift: float) -> Path:
    table = load_iris(as_frame=True).frame.drop(columns="target")
    table.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in table]
    table.iloc[:, :2] += shift
    table.to_csv(folder / f"arriving{shift}.csv", index=False)
    return folder / f"arriving{shift}.csv"


def runs_of(fork: Fork, step: str) -> int:
    seen = store_on(fork.remote, fork.folder / f"seen{time.monotonic_ns()}")
    with closing(sqlite3.connect(seen)) as connection:
        query = "SELECT count(*) FROM tags WHERE key = 'step' AND value = ?"
        return int(connection.execute(query, (step,)).fetchone()[0])


def versions(fork: Fork) -> list[int]:
    seen = store_on(fork.remote, fork.folder / f"seen{time.monotonic_ns()}")
    with closing(sqlite3.connect(seen)) as connection:
        rows = connection.execute("SELECT version FROM model_versions ORDER BY version")
        return [number for (number,) in rows]


def test_a_schedule_without_data_starts_no_job(fork: Fork):
    acted = fork.act("schedule", "monitor", fork.checkout("tree"), {"schedule": "17 5 * * *"})
    assert acted.code == 0, acted.output
    assert acted.jobs == {}


def test_a_schedule_before_the_first_training_says_so_and_is_green(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    variables = {"RATCHET_CURRENT": str(arriving(fork.folder, 0.0))}
    acted = fork.act("schedule", "monitor", fork.checkout("tree"), variables=variables)
    assert acted.code == 0, acted.output
    assert acted.jobs == {"look": "success"}
    assert "Nothing was compared. Train a model" in acted.summary
    assert "Drift was not checked yet." in acted.summary
    assert not lock_is_held(fork.remote)


def test_a_check_without_drift_is_recorded_and_starts_nothing(fork: Fork, github: GitHub):
    inputs = {"current": str(arriving(fork.folder, 0.0))}
    acted = fork.act("workflow_dispatch", "monitor", fork.checkout("tree"), inputs=inputs)
    assert acted.code == 0, acted.output
    assert acted.jobs == {"look": "success", "notify": "success"}
    assert acted.outputs("look")["drifted"] == "false"
    assert runs_of(fork, "drift") == 1
    assert versions(fork) == [1]
    assert github.issues == []


def test_drift_retrains_and_opens_one_issue_that_closes_when_it_ends(fork: Fork, github: GitHub):
    drifted = {"current": str(arriving(fork.folder, 3.0))}
    acted = fork.act("workflow_dispatch", "monitor", fork.checkout("tree"), inputs=drifted)
    assert acted.code == 0, acted.output
    assert {"look": "success", "retrain": "success", "notify": "success"}.items() <= (
        acted.jobs.items()
    )
    assert versions(fork) == [1, 2]
    assert runs_of(fork, "automl") == 1
    (issue,) = github.issues
    assert (issue["title"], issue["state"]) == ("The data drifted", "open")
    assert "sepal_length" in issue["body"]
    assert not lock_is_held(fork.remote)

    stable = {"current": str(arriving(fork.folder, 0.0))}
    acted = fork.act("workflow_dispatch", "monitor", fork.checkout("later"), inputs=stable)
    assert acted.code == 0, acted.output
    assert [one["state"] for one in github.issues] == ["closed"]


def test_automl_proposes_a_pull_request_if_the_project_says_so(fork: Fork, github: GitHub):
    tree = fork.checkout("tree")
    project = tree / "configs/project.yaml"
    project.write_text(project.read_text().replace("automl:", "automl:\n  delivery: pull_request"))
    fork.push(tree, "By pull request")
    inputs = {"current": str(arriving(fork.folder, 3.0))}
    acted = fork.act("workflow_dispatch", "monitor", tree, inputs=inputs)
    assert acted.code == 0, acted.output
    assert acted.jobs == {"look": "success", "retrain": "success", "notify": "success"}
    assert "python -m steps.evaluate" not in acted.steps("retrain")
    (pull,) = github.pulls
    assert (pull["head"], pull["base"]) == ("ratchet/automl", "main")
    proposed = run(
        ["git", "diff", "--name-only", "main", "ratchet/automl"], fork.remote
    ).stdout.split()
    assert proposed == ["configs/models/automl.yaml"]


def test_a_missing_file_fails_the_check_and_releases_the_lock(fork: Fork, github: GitHub):
    typed = f'"$(touch {fork.folder}/witness)"'
    acted = fork.act(
        "workflow_dispatch", "monitor", fork.checkout("tree"), inputs={"current": typed}
    )
    assert acted.jobs == {"look": "failure"}
    assert not (fork.folder / "witness").exists()
    assert not lock_is_held(fork.remote)
    assert github.issues == []
