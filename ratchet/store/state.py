"""The states of the store. Each state is one commit without a parent on the git remote.

`refs/ratchet/store` points to the newest state, and `refs/ratchet/store-<number>` to each of the
last ten. A plain clone does not fetch these refs.

`take` fetches the newest state, as a copy that is only read, or with the lock as one that may be
changed. `put` pushes the changed copy as a new state and releases the lock in the same atomic push.
If a run is killed, the remote therefore has the old state with the lock, or the new state without
it. `restore` makes an older state the newest one.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from ratchet.errors import InputError
from ratchet.github.links import repository_url
from ratchet.registry.tracking import require_store
from ratchet.store import lock
from ratchet.store.database import ARTIFACTS, DATABASE, copy_for_travel, settle_in
from ratchet.store.remote import Change, Remote
from ratchet.store.size import GITHUB, RECOMMENDED, too_large

STORE = "refs/ratchet/store"
OLD_BRANCH = "refs/heads/ratchet-store"  # where the first versions kept the store
STATES = 10


@dataclass(frozen=True)
class Taken:
    """The commits of the remote from which this folder's copy was fetched."""

    store: str | None  # the commit of the state; None if there was no store yet
    lock: str | None  # the commit of the lock; None if the copy is only read
    ref: str = STORE
    states: dict[str, str] = field(
        default_factory=dict
    )  # the commit of each kept state, by its ref


def take(remote: Remote, folder: Path, to_change: bool, limit_size: bool = True) -> Taken:
    _refuse_to_overwrite(remote, folder)
    taken = Taken(None, lock.acquire(remote) if to_change else None)
    with _freed_on_error(remote):
        _remember(remote, taken)
        refs = remote.refs(STORE, OLD_BRANCH, f"{STORE}-*")
        ref = STORE if STORE in refs else OLD_BRANCH
        if ref in refs:
            store = remote.fetch(ref)
            taken = Taken(store, taken.lock, ref, _numbered(refs))
            _remember(remote, taken)
            if to_change and limit_size and (problem := too_large(remote, store, RECOMMENDED)):
                raise InputError(problem)
            _check_out(remote, store, folder)
    return taken


@dataclass(frozen=True)
class Put:
    """A successful push: the commits of the old and the new state, and a warning about the size."""

    old: str | None
    new: str
    warning: str | None  # None if the store has a good size


def put(remote: Remote, folder: Path) -> Put | None:
    """Push the folder's copy as a new state, or return None if nothing was ever stored."""
    taken = _taken_with_lock(remote)
    if taken.store is None and not (folder / DATABASE).exists():  # nothing was trained yet
        free(remote)
        return None
    with _freed_on_error(remote):
        tree = _tree(remote, folder)
        if problem := too_large(remote, tree, GITHUB):
            raise InputError(f"Nothing was pushed. {problem}")
        commit = _push(remote, taken, tree)
    _remember(remote, Taken(commit, None))
    return Put(taken.store, commit, too_large(remote, tree, RECOMMENDED))


def added_pictures(remote: Remote, result: Put) -> list[str]:
    """Return a Markdown link to the pictures of each run that is new in this state."""
    if "GITHUB_REPOSITORY" not in os.environ:
        return []
    old = result.old or remote.git("mktree", text="")
    changed = remote.git("diff-tree", "-r", "--name-only", "--diff-filter=A", old, result.new)
    pictures = [Path(name) for name in changed.splitlines() if name.endswith(".png")]
    folders = sorted({str(picture.parent) for picture in pictures})
    tree = f"{repository_url(os.environ)}/tree/{result.new}"
    return [f"[pictures of {Path(one).parent.name[:8]}]({tree}/{quote(one)})\n" for one in folders]


def restore(remote: Remote, number: int) -> int:
    """Push an older state again as the newest one, and return the number of the newest state."""
    numbers = states(remote)
    if number not in numbers:
        kept = ", ".join(map(str, numbers)) or "none"
        raise InputError(f"state={number} does not exist. The states that exist: {kept}")
    taken = Taken(None, lock.acquire(remote))
    with _freed_on_error(remote):
        _remember(remote, taken)
        refs = remote.refs(STORE, f"{STORE}-*")
        taken = Taken(refs.get(STORE), taken.lock, states=_numbered(refs))
        _remember(remote, taken)
        commit = remote.fetch(f"{STORE}-{number}")
        _push(remote, taken, remote.git("rev-parse", f"{commit}^{{tree}}"))
    (remote.folder / "taken.json").unlink()
    return states(remote)[-1]


def free(remote: Remote) -> bool:
    """Release this folder's lock without a change; return False if it holds none."""
    taken = taken_by(remote)
    if taken is None or taken.lock is None:
        return False
    released = lock.release(remote, taken.lock)
    _remember(remote, replace(taken, lock=None))
    return released


@contextmanager
def _freed_on_error(remote: Remote) -> Iterator[None]:
    """Release the lock if the block fails or is stopped."""
    try:
        yield
    except BaseException:
        free(remote)
        raise


def free_any(remote: Remote, force: bool) -> str:
    """Release the lock of this folder, or with `force` that of any run. Return a message."""
    if free(remote):
        return "The lock is released; the store is unchanged"
    commit = remote.refs(lock.LOCK).get(lock.LOCK)
    if commit is None:
        return "The store is not locked"
    owner = lock.owner_of(remote, commit)
    if not force:
        raise InputError(
            f"The store is locked by {owner}, not by this folder. Wait for that run, or cancel it."
            " If it does not run any more, release its lock: action=free force=true"
        )
    if not lock.release(remote, commit):
        raise InputError("Another run took the lock in the meantime. Run this step again")
    return f"The lock of {owner} is released; that run cannot push its changes any more"


def states(remote: Remote) -> list[int]:
    """Return the numbers of the states that are kept, the oldest first."""
    return sorted(_number(ref) for ref in remote.refs(f"{STORE}-*"))


def _numbered(refs: dict[str, str]) -> dict[str, str]:
    return {ref: commit for ref, commit in refs.items() if ref.startswith(f"{STORE}-")}


def _number(ref: str) -> int:
    return int(ref.rsplit("-", 1)[1])


def taken_by(remote: Remote) -> Taken | None:
    file = remote.folder / "taken.json"
    return Taken(**json.loads(file.read_text())) if file.exists() else None


def uses_server() -> bool:
    require_store()
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))


def _push(remote: Remote, taken: Taken, tree: str) -> str:
    message = f"The MLflow store\n\n{json.dumps(asdict(lock.this_run()))}\n"
    commit = remote.commit(tree, message)
    number = max(map(_number, taken.states), default=0) + 1
    changes: dict[str, Change] = {
        STORE: (taken.store if taken.ref == STORE else None, commit),
        f"{STORE}-{number}": (None, commit),
        lock.LOCK: (taken.lock, None),
    }
    if taken.ref == OLD_BRANCH:  # the store moves from the branch to the ref
        changes[OLD_BRANCH] = (taken.store, None)
    for ref, state in taken.states.items():
        if _number(ref) <= number - STATES:
            changes[ref] = (state, None)
    if not remote.push(changes):
        raise InputError(
            "Nothing was pushed, because this run no longer has the lock: it took longer than"
            f" {lock.MINUTES} minutes, or another run released the lock. Run it again"
        )
    return commit


def _taken_with_lock(remote: Remote) -> Taken:
    taken = taken_by(remote)
    if taken is None or taken.lock is None:
        raise InputError("This folder does not have the lock. Fetch the store with it: action=lock")
    return taken


def _refuse_to_overwrite(remote: Remote, folder: Path) -> None:
    taken = taken_by(remote)
    if taken and taken.lock:
        raise InputError(
            "This folder has the lock already, and its copy was not pushed yet. Push it"
            " (action=put), or release the lock and leave the remote's store as it is (action=free)"
        )
    if taken is None and (folder / DATABASE).exists():
        raise InputError(
            f"{folder / DATABASE} exists and was not fetched from the remote; it would be"
            " overwritten. Choose another folder: folder=.ratchet/store"
        )


def _check_out(remote: Remote, store: str, folder: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ARTIFACTS, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    work_tree = f"--work-tree={folder.absolute()}"
    remote.git("read-tree", store)
    remote.git(work_tree, "checkout-index", "--all", "--force", "--index")
    settle_in(folder / DATABASE)


def _tree(remote: Remote, folder: Path) -> str:
    """Return the hash of a git tree with the folder's store. Git reads changed files only."""
    if not (folder / DATABASE).exists():
        raise InputError(f"{folder / DATABASE} is missing, so there is nothing to push")
    copy = remote.folder / DATABASE
    copy_for_travel(folder / DATABASE, copy)
    blob = remote.git("hash-object", "-w", str(copy))
    copy.unlink()
    work_tree = f"--work-tree={folder.absolute()}"
    if (folder / ARTIFACTS).exists():
        remote.git(work_tree, "add", "--all", "--force", "--", str(folder.absolute() / ARTIFACTS))
    remote.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{DATABASE}")
    return remote.git("write-tree")


def _remember(remote: Remote, taken: Taken) -> None:
    (remote.folder / "taken.json").write_text(json.dumps(asdict(taken)))
