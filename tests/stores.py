"""Stores on a branch, for the tests: a remote, clones of it, runs that use them."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.projects import REPOSITORY, environment, run


def new_remote(folder: Path) -> Path:
    done = run(["git", "init", "--quiet", "--bare", str(folder)], folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def new_checkout(folder: Path, remote: Path) -> Path:
    """A folder whose git remote is this one, as a job's checkout is."""
    folder.mkdir(parents=True)
    run(["git", "init", "--quiet"], folder)
    run(["git", "remote", "add", "origin", str(remote)], folder)
    return folder


def new_store(folder: Path) -> Path:
    """An MLflow store with nothing in it."""
    script = "import mlflow, logging; logging.disable(); mlflow.MlflowClient().search_experiments()"
    done = run([sys.executable, "-c", script], folder)
    assert done.returncode == 0, done.stderr
    return folder / "mlflow.db"


def add_version(database: Path, number: int) -> None:
    """A run, its artifact and a version, without the seconds that MLflow takes to load."""
    where = database.parent / "mlruns" / "0" / f"run{number}" / "artifacts"
    where.mkdir(parents=True)
    (where / "model.skops").write_bytes(bytes([number % 256]) * 100)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (run_uuid, name, experiment_id, artifact_uri, lifecycle_stage,"
            " status, source_type) VALUES (?, 'train', 0, ?, 'active', 'FINISHED', 'LOCAL')",
            (f"run{number}", str(where)),
        )
        connection.execute(
            "INSERT INTO tags (run_uuid, key, value) VALUES (?, 'number', ?)",
            (f"run{number}", str(number)),
        )


def runs(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return sorted(name for (name,) in connection.execute("SELECT run_uuid FROM runs"))


def artifacts(database: Path) -> list[Path]:
    with closing(sqlite3.connect(database)) as connection:
        return [Path(uri) for (uri,) in connection.execute("SELECT artifact_uri FROM runs")]


def store_on(remote: Path, folder: Path) -> Path:
    """The branch as plain git gives it to anyone; an empty folder where there is none."""
    command = ["git", "clone", "--quiet", "--branch", "ratchet-store", str(remote), str(folder)]
    subprocess.run(command, env=environment(), check=False, capture_output=True)
    return folder / "mlflow.db"


def lock_is_held(remote: Path) -> bool:
    return "refs/ratchet/lock" in run(["git", "for-each-ref"], remote).stdout


def python(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", script], folder, PYTHONPATH=str(REPOSITORY), **env)
