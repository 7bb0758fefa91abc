"""The actions of the step `store`. Each function returns the message that the user reads."""

from pathlib import Path

from ratchet.errors import InputError
from ratchet.github.links import without_credentials
from ratchet.settings import read_settings
from ratchet.store import state
from ratchet.store.database import DATABASE, has_prod, migrate
from ratchet.store.remote import Remote


def take(remote: Remote, folder: Path, to_change: bool, limit_size: bool) -> tuple[str, bool]:
    """Fetch the store; the second value says whether it has a version in production."""
    taken = state.take(remote, folder, to_change, limit_size)
    if taken.store is None:
        return "The remote has no store yet", False
    upgraded = migrate(folder / DATABASE)
    note = "\nIts tables were upgraded to the schema of this version of MLflow" if upgraded else ""
    return f"Fetched the store, commit {taken.store}{note}", has_prod(folder / DATABASE)


def rebase(remote: Remote, folder: Path, limit_size: bool) -> str:
    from ratchet.store.rebasing import rebase as rebase_copy

    taken, added = rebase_copy(remote, folder, read_settings().model, limit_size)
    if taken.store is None:
        return "The remote has no store yet, so this folder's store will be the first one"
    return f"Fetched the store, commit {taken.store}. Versions added to it: {_names(added)}"


def put(remote: Remote, folder: Path) -> str:
    from ratchet.github.client import append_summary

    result = state.put(remote, folder)
    if result is None:
        return "There is no store yet, so nothing was pushed; the lock is released"
    for link in state.added_pictures(remote, result):
        append_summary(link)
    lines = ["The store was pushed, and the lock is released"]
    if result.warning:
        lines.append(f"::warning title=The store is nearly too large::{result.warning}")
    return "\n".join(lines)


def restore(remote: Remote, number: int) -> str:
    newest = state.restore(remote, number)
    return (
        f"The store is again as it was in state {number}. Its newest state has the number {newest}"
    )


def prune(folder: Path, keep: int, days: float) -> str:
    import mlflow

    from ratchet.registry.registry import Registry
    from ratchet.store.pruning import prune as prune_versions

    if not (folder / DATABASE).exists():
        return f"There is no {folder / DATABASE}, so there is nothing to prune"
    client = mlflow.MlflowClient(f"sqlite:///{folder / DATABASE}")
    pruned = prune_versions(Registry(client, read_settings().model), client, keep, days)
    return f"Artifacts deleted of: {_names(pruned.versions)} ({pruned.megabytes:.1f} MB)"


def move(folder: Path, to: str, server: str) -> str:
    from ratchet.store.moving import move as move_store

    if not (to and server):
        raise InputError(
            "action=move needs to= with the address of the server's database (postgresql://...),"
            " and server= with the address of the server (http://...)"
        )
    if not (folder / DATABASE).exists():
        raise InputError(f"{folder / DATABASE} is missing. Fetch the store first: action=take")
    moved, address = move_store(folder / DATABASE, to, server), without_credentials(server)
    counts = ", ".join(f"{number} {name}" for name, number in moved.counts.items())
    return (
        f"{counts} and {moved.artifacts} artifacts are on {address}; {moved.loaded} models load"
        f" from there\nSet MLFLOW_TRACKING_URI={address} and RATCHET_STORE=server. The store on the"
        " git ref is then no longer used"
    )


def _names(versions: list[str]) -> str:
    return ", ".join(f"v{number}" for number in versions) or "none"
