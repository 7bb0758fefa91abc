"""A run repeated from its commit, its lock and its data, and compared bit for bit."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.documents import read_mapping
from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.registry.provenance import provenance
from ratchet.settings import PROJECT, LogSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

TIMES = ("fit_seconds", "prediction_us")  # they depend on the machine


@dataclass(frozen=True)
class Reproduction:
    run_id: str
    again: str
    same: bool
    causes: list[str]
    metrics: dict[str, tuple[float | None, float | None]]


def find(client: "MlflowClient", run_id: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        raise InputError(f"The store has no run '{run_id}'; `make ui` shows the runs") from None
    tags = run.data.tags
    if "config_sha256" not in tags:
        raise InputError(f"Run {run_id} did not train a model config; give the run of a version")
    if tags["dirty"] == "true":
        raise InputError(
            f"Run {run_id} came from a tree with uncommitted changes on {tags['commit'][:12]}; its"
            " code is not in any commit. Commit, train again, and reproduce that run"
        )
    return run


def reproduce(client: "MlflowClient", run: Any, train: Sequence[str]) -> Reproduction:
    """Run `train`, the arguments of Python that train one config, in the commit of the run."""
    tags = run.data.tags
    with TemporaryDirectory() as folder, _checkout(tags["commit"], Path(folder) / "tree") as tree:
        config = client.download_artifacts(run.info.run_id, f"{tags['config']}.json", folder)
        store = f"sqlite:///{folder}/mlflow.db"
        _link_data(tree)
        python = _environment(tree / "requirements.txt")
        _train_again([str(python), *train, config], tree, store)
        return compare(run, _only_run(store))


@contextmanager
def _checkout(commit: str, tree: Path) -> Iterator[Path]:
    add = ["git", "worktree", "add", "--quiet", "--detach", str(tree), commit]
    done = subprocess.run(add, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"Commit {commit[:12]} cannot be checked out: {done.stderr.strip()}; fetch it first:"
            " git fetch --unshallow"
        )
    try:
        yield tree
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], check=False)


def _link_data(tree: Path) -> None:
    """Link the data files that git does not track, if their paths are relative."""
    data = read_mapping(tree / PROJECT)["data"]  # another version of the code may have other keys
    sources = [str(data["source"])]
    if data.get("log"):
        sources.append(str(data["log"].get("file", LogSettings().file)))
    relative = [one for one in sources if "://" not in one and not Path(one).is_absolute()]
    for file in (file for source in relative for file in Path().glob(source)):
        if not (tree / file).exists():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).symlink_to(file.absolute())


def _environment(lock: Path) -> Path:
    """Return the Python of the lock's environment: this one if it has the same lock."""
    lock_sha256 = hashlib.sha256(lock.read_bytes()).hexdigest()
    if (provenance().lock_sha256, provenance().environment) == (lock_sha256, "as locked"):
        return Path(sys.executable)
    return python_of(lock)


def _train_again(command: list[str], tree: Path, store: str) -> None:
    ignored = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "PYTHONPATH")
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in ignored and not key.startswith("GITHUB_")
    } | {"MLFLOW_TRACKING_URI": store}
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"Training again failed: {done.stderr.strip().splitlines()[-1]}")


def _only_run(store: str) -> Any:
    import mlflow

    client = mlflow.MlflowClient(store)
    return client.search_runs(["0"], "tags.config_sha256 LIKE '%'")[0]


def compare(run: Any, again: Any) -> Reproduction:
    before, after = run.data.tags, again.data.tags
    measured = {
        name: (run.data.metrics.get(name), again.data.metrics.get(name))
        for name in sorted(run.data.metrics.keys() | again.data.metrics.keys())
        if name not in TIMES
    }
    same = before["predictions_sha256"] == after["predictions_sha256"] and all(
        first == second for first, second in measured.values()
    )
    causes = [] if same else _causes(before, after)
    return Reproduction(run.info.run_id, again.info.run_id, same, causes, measured)


def _causes(before: Any, after: Any) -> list[str]:
    causes = []
    if before["data_sha256"] != after["data_sha256"]:
        causes.append("data: the table, its split or the seed differs from that run's")
    if before["lock_sha256"] != after["lock_sha256"]:
        causes.append("lock: requirements.txt at that commit is not the one that run recorded")
    if before["environment"] != after["environment"]:
        causes.append(f"lock: that run had {before['environment']}")
    if before["python"] != after["python"]:
        causes.append(f"Python: {before['python']} then, {after['python']} now")
    if before["config_sha256"] != after["config_sha256"]:
        causes.append("config: its meaning changed")
    return causes or ["code: the estimator is not deterministic, or the kind of machine differs"]
