"""`mlflow run` in a fresh clone, with a git address, and with an environment that it creates."""

import sqlite3
from pathlib import Path

import pytest

from tests.projects import BASELINE, clone, free_port, process, run

pytestmark = pytest.mark.slow

TRAIN = ["-e", "train", "-P", f"config={BASELINE}"]
LOCAL = ["--env-manager", "local"]


def versions(store: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(store) as connection:
        return connection.execute("SELECT name, version FROM model_versions").fetchall()


def runs(store: Path) -> dict[str, str]:
    """Return the status of each run by its name."""
    with sqlite3.connect(store) as connection:
        return dict(connection.execute("SELECT name, status FROM runs").fetchall())


def test_a_fresh_clone_trains_with_the_current_environment(tmp_path: Path) -> None:
    tree = clone(tmp_path / "clone")
    done = run(["mlflow", "run", ".", *TRAIN, *LOCAL], tree)
    assert done.returncode == 0, done.stderr
    assert versions(tree / "mlflow.db") == [("iris", 1)]
    assert set(runs(tree / "mlflow.db").values()) == {"FINISHED"}
    assert run(["git", "status", "--porcelain"], tree).stdout == ""


def test_mlflow_run_with_a_git_address_trains_into_the_callers_store(tmp_path: Path) -> None:
    """Use git://, because MLflow treats file:// of an existing path as a project folder."""
    clone(tmp_path / "ratchet.git", "--bare")
    caller, port = tmp_path / "caller", free_port()
    caller.mkdir()
    daemon = ["git", "daemon", "--export-all", f"--base-path={tmp_path}", f"--port={port}"]
    with process(daemon, tmp_path, port):
        address = f"git://localhost:{port}/ratchet.git"
        done = run(["mlflow", "run", address, *TRAIN, *LOCAL], caller)
    assert done.returncode == 0, done.stderr
    assert versions(caller / "mlflow.db") == [("iris", 1)]
    assert set(runs(caller / "mlflow.db").values()) == {"FINISHED"}


def test_a_fresh_clone_builds_its_environment_from_python_env(tmp_path: Path) -> None:
    tree = clone(tmp_path / "clone")
    environments = tmp_path / "environments"
    command = ["mlflow", "run", ".", *TRAIN, "--env-manager", "uv"]
    done = run(command, tree, MLFLOW_ENV_ROOT=str(environments))
    assert done.returncode == 0, done.stderr[-3000:]
    (created,) = environments.iterdir()
    assert (created / "bin" / "python").exists()
    with sqlite3.connect(tree / "mlflow.db") as connection:
        tags = dict(connection.execute("SELECT key, value FROM tags").fetchall())
    assert tags["environment"] == "as locked"
    assert versions(tree / "mlflow.db") == [("iris", 1)]
