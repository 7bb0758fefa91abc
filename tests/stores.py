"""Stores on a git remote, for the tests: remotes, checkouts of them, runs that change a store."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.projects import REPOSITORY, run


def new_remote(folder: Path) -> Path:
    done = run(["git", "init", "--quiet", "--bare", str(folder)], folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def new_checkout(folder: Path, remote: Path) -> Path:
    """Create a folder with this git remote, like the checkout of a job."""
    folder.mkdir(parents=True)
    run(["git", "init", "--quiet"], folder)
    run(["git", "remote", "add", "origin", str(remote)], folder)
    return folder


def new_store(folder: Path) -> Path:
    """Create an empty MLflow store."""
    script = "import mlflow, logging; logging.disable(); mlflow.MlflowClient().search_experiments()"
    done = run([sys.executable, "-c", script], folder)
    assert done.returncode == 0, done.stderr
    return folder / "mlflow.db"


def add_version(database: Path, number: int) -> None:
    """Add a run with an artifact by SQL, because MLflow takes seconds to load."""
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


def store_on(remote: Path, folder: Path, ref: str = "refs/ratchet/store") -> Path:
    """Check out the store with plain git; the folder is empty if there is no store."""
    run(["git", "init", "--quiet", str(folder)], remote)
    run(["git", "fetch", "--quiet", str(remote), ref], folder)
    run(["git", "checkout", "--quiet", "--force", "FETCH_HEAD"], folder)
    return folder / "mlflow.db"


def lock_is_held(remote: Path) -> bool:
    return "refs/ratchet/lock" in run(["git", "for-each-ref"], remote).stdout


def python(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-c", script], folder, PYTHONPATH=str(REPOSITORY), **env)
