"""The store on its branch: python -m steps.store --action take --folder .ratchet/store"""

from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError, nearest

ACTIONS = ("take", "lock", "put", "free", "move")


def main(action: str, folder: Path, to: str, server: str) -> None:
    from ratchet.store import branch
    from ratchet.store.database import migrate
    from ratchet.store.remote import beside

    if action not in ACTIONS:
        raise InputError(f"action={action}: {nearest(action, ACTIONS)}")
    if action == "move":
        move(folder, to, server)
        return
    if branch.uses_server():
        print("MLFLOW_TRACKING_URI is set: the store is that server, the branch is not used")
        return
    remote = beside(folder)
    if action == "free":
        branch.free(remote)
        print("The lock is free; the branch is as it was")
    elif action == "put":
        warning = branch.put(remote, folder)
        print("The store is on its branch again, and the lock is free")
        if warning:
            print(f"::warning title=The store outgrows its branch::{warning}")
    else:
        taken = branch.take(remote, folder, to_change=action == "lock")
        if taken.store and migrate(folder / branch.DATABASE):
            print("Its tables are of this MLflow's schema now")
        print(f"Taken: {taken.store}" if taken.store else "The branch holds no store yet")


def move(folder: Path, to: str, server: str) -> None:
    from ratchet.store.branch import DATABASE

    from ratchet.store.moving import move as moved

    if not (to and server):
        raise InputError(
            "action=move needs to=, the server's database (postgresql://...), and server=, its"
            " address (http://...)"
        )
    if not (folder / DATABASE).exists():
        raise InputError(f"No {folder / DATABASE}; take the branch's store first: action=take")
    done = moved(folder / DATABASE, to, server)
    print(", ".join(f"{number} {name}" for name, number in done.counts.items()), end="")
    print(f" and {done.artifacts} artifacts are on {server}; {done.loaded} models load from there")
    print(f"Set MLFLOW_TRACKING_URI={server}; the branch is not used then")


if __name__ == "__main__":
    entry.run(main)
