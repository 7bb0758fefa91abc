"""Take the store from its branch, put it back: one orphan branch, one parentless commit.

take   a copy to read, or with the lock a copy to change
put    the change and the freeing of the lock, in one atomic push: a kill at any moment leaves
       the old store with the lock still held, or the new one without
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from ratchet.errors import InputError
from ratchet.store import lock
from ratchet.store.database import ARTIFACTS, copy_for_travel, settle_in
from ratchet.store.remote import Remote

BRANCH = "refs/heads/ratchet-store"
DATABASE = "mlflow.db"
MOST_MB_A_FILE, MOST_MB = 50, 500
HOSTS_MOST_MB_A_FILE, HOSTS_MOST_MB = 100, 2000  # what GitHub refuses

TOO_LARGE = (
    "The store has outgrown its branch: {what}. Move it to a server, with every run, version and"
    " alias: mlflow run . -e store -P action=move -P to=postgresql://... -P server=http://...;"
    " then set MLFLOW_TRACKING_URI. More in docs/workflows.md"
)


@dataclass(frozen=True)
class Taken:
    store: str | None  # the branch's commit; None where there was no branch yet
    lock: str | None  # None for a copy to read


def uses_server() -> bool:
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))


def take(remote: Remote, folder: Path, to_change: bool) -> Taken:
    _refuse_to_overwrite(remote, folder)
    taken = Taken(None, lock.acquire(remote) if to_change else None)
    try:
        _remember(remote, taken)
        if BRANCH in remote.refs(BRANCH):
            store = remote.fetch(BRANCH)
            taken = Taken(store, taken.lock)
            _remember(remote, taken)
            if to_change and (what := beyond(_sizes(remote, store), MOST_MB_A_FILE, MOST_MB)):
                raise InputError(TOO_LARGE.format(what=what))
            _lay_out(remote, store, folder)
    except BaseException:
        free(remote)
        raise
    return taken


def put(remote: Remote, folder: Path) -> str | None:
    """What is too large soon, if something is."""
    taken = taken_by(remote)
    if taken is None or taken.lock is None:
        raise InputError("This store was not taken with the lock; take it first: action=lock")
    try:
        tree = _tree(remote, folder)
        sizes = _sizes(remote, tree)
        if what := beyond(sizes, HOSTS_MOST_MB_A_FILE, HOSTS_MOST_MB):
            raise InputError(f"Nothing was put back. {TOO_LARGE.format(what=what)}")
        commit = remote.commit(tree, f"The MLflow store\n\n{json.dumps(asdict(lock.this_run()))}\n")
        changes = {BRANCH: (taken.store, commit), lock.LOCK: (taken.lock, None)}
        if not remote.push(changes):
            raise InputError(
                "Nothing was put back: the lock is no longer this run's, which took longer than"
                f" {lock.MINUTES} minutes or was taken for dead. Run it again"
            )
    except BaseException:
        free(remote)
        raise
    _remember(remote, Taken(commit, None))
    what = beyond(sizes, MOST_MB_A_FILE, MOST_MB)
    return TOO_LARGE.format(what=what) if what else None


def free(remote: Remote) -> None:
    """The lock; the store stays as it was."""
    taken = taken_by(remote)
    if taken and taken.lock:
        lock.release(remote, taken.lock)
        _remember(remote, Taken(taken.store, None))


def taken_by(remote: Remote) -> Taken | None:
    file = remote.folder / "taken.json"
    return Taken(**json.loads(file.read_text())) if file.exists() else None


def beyond(sizes: dict[str, int], most_a_file: int, most: int) -> str | None:
    """
    >>> beyond({"mlflow.db": 61_000_000, "a": 1}, 50, 500)
    'mlflow.db has 61 MB, and a file may have 50'
    >>> beyond({"a": 3, "b": 5}, 50, 500) is None
    True
    """
    largest, all_of_it = max(sizes, key=sizes.__getitem__, default=""), sum(sizes.values())
    if sizes and sizes[largest] > most_a_file * 1e6:
        return f"{largest} has {sizes[largest] / 1e6:.0f} MB, and a file may have {most_a_file}"
    if all_of_it > most * 1e6:
        return f"it has {all_of_it / 1e6:.0f} MB, and may have {most}"
    return None


def _refuse_to_overwrite(remote: Remote, folder: Path) -> None:
    taken = taken_by(remote)
    if taken and taken.lock:
        raise InputError(
            "The store was taken with the lock and not put back; do that (action=put), or leave it"
            " as it was on the branch (action=free)"
        )
    if taken is None and (folder / DATABASE).exists():
        raise InputError(
            f"{folder / DATABASE} is a store of this folder's own; take the branch's into another:"
            " folder=.ratchet/store"
        )


def _lay_out(remote: Remote, store: str, folder: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ARTIFACTS, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    tree = f"--work-tree={folder.absolute()}"
    remote.git("read-tree", store)
    remote.git(tree, "checkout-index", "--all", "--force", "--index")
    settle_in(folder / DATABASE)


def _tree(remote: Remote, folder: Path) -> str:
    """What lies in the folder now. Files that did not change are not read again."""
    if not (folder / DATABASE).exists():
        raise InputError(f"{folder / DATABASE} is missing: there is nothing to put back")
    travelling = remote.folder / DATABASE
    copy_for_travel(folder / DATABASE, travelling)
    blob = remote.git("hash-object", "-w", str(travelling))
    travelling.unlink()
    tree = f"--work-tree={folder.absolute()}"
    if (folder / ARTIFACTS).exists():
        remote.git(tree, "add", "--all", "--force", "--", str(folder.absolute() / ARTIFACTS))
    remote.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{DATABASE}")
    return remote.git("write-tree")


def _sizes(remote: Remote, tree: str) -> dict[str, int]:
    listed = remote.git("ls-tree", "-r", "-l", "-z", tree)
    lines = [line.split("\t", 1) for line in listed.split("\0") if line]
    return {name: int(facts.split()[3]) for facts, name in lines}


def _remember(remote: Remote, taken: Taken) -> None:
    (remote.folder / "taken.json").write_text(json.dumps(asdict(taken)))
