"""The line on a PostgreSQL of its own: behind an `mlflow server`, and as the store itself."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.clusters import new_cluster
from tests.projects import new_project, run_step, tracking_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a fresh cluster, with two databases."""
    with new_cluster() as cluster:
        cluster.create("web")
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
