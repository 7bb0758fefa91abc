"""Move the store between this folder and its remote: python -m steps.store --action take"""

from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError, nearest

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
    from ratchet.report import write_outputs
    from ratchet.store import actions
    from ratchet.store.remote import store_remote
    from ratchet.store.state import free_any, uses_server

    if action not in ACTIONS:
        raise InputError(f"'{action}' is not an action: {nearest(action, ACTIONS)}")
    if action == "move":
        print(actions.move(folder, to, server))
        return
    if uses_server():
        print("MLFLOW_TRACKING_URI is set, so the store is that server; the git ref is not used")
        return
    remote = store_remote(folder)
    match action:
        case "take" | "lock":
            message, has_prod = actions.take(remote, folder, action == "lock", size_limit)
            write_outputs({"prod": str(has_prod).lower()})
        case "rebase":
            message = actions.rebase(remote, folder, size_limit)
        case "put":
            message = actions.put(remote, folder)
        case "free":
            message = free_any(remote, force)
        case "restore":
            message = actions.restore(remote, state)
        case _:
            message = actions.prune(folder, keep, days)
    print(message)


if __name__ == "__main__":
    entry.run(main)
