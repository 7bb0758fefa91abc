"""The steps with PostgreSQL, behind an `mlflow server` and as the store itself."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.clusters import new_cluster
from tests.projects import new_project, run_step, tracking_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Start a cluster with three databases, and return its address."""
    with new_cluster() as cluster:
        cluster.create("web")
        cluster.create("moved")
        yield cluster.create("own").removesuffix("/own")


def test_the_line_works_over_a_server_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    with tracking_server(tmp_path, f"{postgresql}/web") as address:
        _the_line_works(new_project(tmp_path / "project"), address)


def test_the_line_works_with_postgresql_as_the_store_itself(
    postgresql: str, tmp_path: Path
) -> None:
    _the_line_works(new_project(tmp_path), f"{postgresql}/own")


def _the_line_works(project: Path, store: str) -> None:
    env = {"MLFLOW_TRACKING_URI": store}
    trained = run_step(project, "train", env, config="configs/models")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.count(" trained ") == 6, trained.stdout

    gated = run_step(project, "evaluate", env)
    assert gated.returncode == 0, gated.stderr
    assert "is prod now: best of 6 by accuracy" in gated.stdout

    history = run_step(project, "history", env)
    assert history.returncode == 0, history.stderr
    assert history.stdout.count("gate: best of 6 by accuracy") == 1

    again = run_step(project, "train", env, config="configs/models")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(" skipped ") == 6, again.stdout

    client = mlflow.MlflowClient(store, store)
    versions = client.search_model_versions("name = 'iris'")
    assert len(versions) == 6
    assert [v.version for v in versions if v.tags.get("stage") == "Production"] == [
        client.get_model_version_by_alias("iris", "prod").version
    ]
    assert not (project / "mlflow.db").exists()


def test_the_store_moves_to_a_server_with_every_run_version_alias_and_model(
    postgresql: str, tmp_path: Path
) -> None:
    project = new_project(tmp_path / "project")
    for step in ("train", "evaluate"):
        done = run_step(project, step)
        assert done.returncode == 0, done.stderr
    ledger = run_step(project, "history").stdout
    with tracking_server(tmp_path, f"{postgresql}/moved") as address:
        arguments = {"action": "move", "to": f"{postgresql}/moved", "server": address}
        moved = run_step(project, "store", **arguments)
        assert moved.returncode == 0, moved.stderr
        assert "8 runs, 6 versions, 1 aliases and " in moved.stdout
        assert "6 models load from there" in moved.stdout

        env = {"MLFLOW_TRACKING_URI": address}
        (project / "mlflow.db").rename(tmp_path / "old.db")
        (project / "mlruns").rename(tmp_path / "old-mlruns")
        assert run_step(project, "history", env).stdout == ledger
        goes_on = run_step(project, "train", env, config="configs/models/forest.yaml", force="true")
        assert goes_on.returncode == 0, goes_on.stderr
        assert " v7 " in goes_on.stdout

        (tmp_path / "old.db").rename(project / "mlflow.db")
        again = run_step(project, "store", **arguments)
        assert again.returncode == 2
        assert "The server's database is not empty" in again.stderr
