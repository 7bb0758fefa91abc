"""Runs that are reproduced in a clone from their commit, lock and data, or the reason why not."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.entities import Run

from tests.projects import BASELINE, clone, run, run_step

pytestmark = pytest.mark.slow

SHIPPED = ["baseline", "blend", "boosting", "forest", "lightgbm", "neighbours"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone in which every shipped config is trained, once for all tests."""
    folder = clone(tmp_path_factory.mktemp("reproduce") / "clone")
    done = run_step(folder, "train", config="configs/models")
    assert done.returncode == 0, done.stderr
    return folder


def store(project: Path) -> mlflow.MlflowClient:
    address = f"sqlite:///{project}/mlflow.db"
    return mlflow.MlflowClient(address, address)


def latest_run(project: Path, config: str) -> Run:
    runs = store(project).search_runs(["0"], f"tags.config = '{config}'", max_results=1)
    return runs[0]


def reproduce(project: Path, run_id: str, code: int = 0) -> str:
    done = run_step(project, "reproduce", run_id=run_id)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def tampered(project: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Change tags of a run, so that it claims something else than it did."""
    trained, client = latest_run(project, "baseline"), store(project)
    kept = trained.data.tags
    for key, value in request.param.items():
        client.set_tag(trained.info.run_id, key, value)
    yield trained
    for key in request.param:
        client.set_tag(trained.info.run_id, key, kept[key])


@pytest.mark.parametrize("config", SHIPPED)
def test_each_shipped_config_can_be_reproduced(project: Path, config: str) -> None:
    run_id = latest_run(project, config).info.run_id
    assert f"{config}, run {run_id}: same\n" in reproduce(project, run_id)
    assert run(["git", "worktree", "list"], project).stdout.count("\n") == 1


OTHER = {"predictions_sha256": "0" * 64}


@pytest.mark.parametrize(
    ("tampered", "cause"),
    [
        (OTHER | {"lock_sha256": "0" * 64}, "lock: requirements.txt at that commit is not the one"),
        (OTHER | {"environment": "numpy 2.0 instead of 2.4"}, "lock: that run had numpy 2.0"),
    ],
    indirect=["tampered"],
    ids=["lock", "environment"],
)
def test_a_run_that_had_other_packages_names_the_lock(
    project: Path, tampered: Run, cause: str
) -> None:
    assert f"not the same. {cause}" in reproduce(project, tampered.info.run_id)


def test_an_unknown_run_is_refused(project: Path) -> None:
    message = reproduce(project, "0" * 32, code=2)
    assert message == f"reproduce: The store has no run '{'0' * 32}'; `make ui` shows the runs\n"


def test_data_that_changed_after_training_is_named(project: Path) -> None:
    """The data are outside git, at an address relative to the project."""
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    frame.to_csv(project / "flowers.csv", index=False)
    (project / ".gitignore").write_text("flowers.csv\nmlflow.db*\nmlruns/\nreports/\n.ratchet/\n")
    settings = {"model": "flowers", "data": {"source": "flowers.csv", "target": "target"}}
    (project / "configs" / "project.yaml").write_text(yaml.safe_dump(settings))
    committed = run(["git", "commit", "--quiet", "--all", "-m", "Own data"], project)
    assert committed.returncode == 0, committed.stderr
    trained = run_step(project, "train", config=BASELINE)
    assert trained.returncode == 0, trained.stderr
    run_id = latest_run(project, "baseline").info.run_id
    assert f"baseline, run {run_id}: same\n" in reproduce(project, run_id)

    frame.iloc[:-1].to_csv(project / "flowers.csv", index=False)
    message = reproduce(project, run_id)
    assert "not the same. data: the table, its split or the seed differs from that run's" in message


def test_a_run_of_a_dirty_tree_is_refused_with_the_reason(project: Path) -> None:
    edited = project / BASELINE
    edited.write_text(edited.read_text().replace("max_iter: 1000", "max_iter: 900"))
    trained = run_step(project, "train", config=BASELINE)
    assert trained.returncode == 0, trained.stderr
    message = reproduce(project, latest_run(project, "baseline").info.run_id, code=2)
    assert "came from a tree with uncommitted changes" in message
    assert "Commit, train again, and reproduce that run" in message
    assert len(message.splitlines()) == 1
