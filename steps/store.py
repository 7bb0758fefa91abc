"""Move the store between this folder and its remote: python -m steps.store --action take"""

from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import entry
from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    from ratchet.store.remote import Remote

ACTIONS = ("take", "lock", "rebase", "put", "free", "restore", "prune", "move")


def main(
    action: str,
    folder: Path,
    size_limit: bool,
    force: bool,
    state: int,
    keep: int,
    days: float,
    to: str,
    server: str,
) -> None:
    from ratchet.store import state as states
    from ratchet.store.remote import store_remote

    if action not in ACTIONS:
        raise InputError(f"'{action}' is not an action: {nearest(action, ACTIONS)}")
    if action == "move":
        move(folder, to, server)
        return
    if states.uses_server():
        print("MLFLOW_TRACKING_URI is set, so the store is that server; the git ref is not used")
        return
    remote = store_remote(folder)
    if action in ("take", "lock"):
        take(remote, folder, action == "lock", size_limit)
    elif action == "rebase":
        rebase(remote, folder, size_limit)
    elif action == "put":
        put(remote, folder)
    elif action == "free":
        print(states.free_any(remote, force))
    elif action == "restore":
        print(f"State {state} is the store again, as state {states.restore(remote, state)}")
    else:
        prune(folder, keep, days)


def take(remote: "Remote", folder: Path, to_change: bool, size_limit: bool) -> None:
    from ratchet.report import write_outputs
    from ratchet.store.database import DATABASE, has_prod, migrate
    from ratchet.store.state import take as take_state

    taken = take_state(remote, folder, to_change, size_limit)
    if taken.store and migrate(folder / DATABASE):
        print("Its tables were upgraded to the schema of this MLflow")
    print(f"Taken: {taken.store}" if taken.store else "The remote holds no store yet")
    prod = taken.store is not None and has_prod(folder / DATABASE)
    write_outputs({"prod": str(prod).lower()})


def rebase(remote: "Remote", folder: Path, size_limit: bool) -> None:
    from ratchet.settings import read_settings
    from ratchet.store.rebasing import rebase as rebase_store

    taken, added = rebase_store(remote, folder, read_settings().model, size_limit)
    names = ", ".join(f"v{number}" for number in added) or "none"
    print(f"Taken: {taken.store}; versions added: {names}" if taken.store else "A new store")


def put(remote: "Remote", folder: Path) -> None:
    from ratchet.github.client import append_summary
    from ratchet.store.state import added_pictures
    from ratchet.store.state import put as put_state

    result = put_state(remote, folder)
    if result is None:
        print("There is no store yet, so nothing was put back; the lock is released")
        return
    print("The store is put back, and the lock is released")
    for link in added_pictures(remote, result):
        append_summary(link)
    if result.warning:
        print(f"::warning title=The store is nearly too large::{result.warning}")


def prune(folder: Path, keep: int, days: float) -> None:
    import mlflow

    from ratchet.registry.registry import Registry
    from ratchet.settings import read_settings
    from ratchet.store.database import DATABASE
    from ratchet.store.pruning import prune as prune_versions

    if not (folder / DATABASE).exists():
        print(f"There is no {folder / DATABASE}, so there is nothing to prune")
        return
    client = mlflow.MlflowClient(f"sqlite:///{folder / DATABASE}")
    pruned = prune_versions(Registry(client, read_settings().model), client, keep, days)
    names = ", ".join(f"v{number}" for number in pruned.versions) or "none"
    print(f"Artifacts deleted of: {names} ({pruned.megabytes:.1f} MB)")


def move(folder: Path, to: str, server: str) -> None:
    from ratchet.github.links import without_credentials
    from ratchet.store.database import DATABASE
    from ratchet.store.moving import move as move_store

    if not (to and server):
        raise InputError(
            "action=move needs to=, the server's database (postgresql://...), and server=, its"
            " address (http://...)"
        )
    if not (folder / DATABASE).exists():
        raise InputError(f"{folder / DATABASE} is missing. Take the store first: action=take")
    done = move_store(folder / DATABASE, to, server)
    print(", ".join(f"{number} {name}" for name, number in done.counts.items()), end="")
    address = without_credentials(server)
    print(f" and {done.artifacts} artifacts are on {address}; {done.loaded} models load from there")
    print(f"Set MLFLOW_TRACKING_URI={address} and RATCHET_STORE=server; the ref is not used then")


if __name__ == "__main__":
    entry.run(main)
