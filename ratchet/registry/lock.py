"""The registry lock: it lets only one process at a time move the aliases of a model.

MLflow has no locks, but every MLflow store guarantees that a model name is registered only once.
The lock is therefore a registered model named `<model>.move`, which exists while aliases are moved.

If the process that has the lock is killed, the next process must not delete this name, because it
could delete the lock of a third process. Instead, it registers a second name, which contains the id
of the dead process's lock. If the first name then still exists with this id, the next process has
the lock. At the end it deletes both names.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ratchet.errors import InputError
from ratchet.registry.provenance import process_has_ended, process_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS_UNTIL_STALE = 60  # for an owner on another machine: a move takes one or two seconds
SECONDS_TO_WAIT = 120


@contextmanager
def registry_lock(client: "MlflowClient", model: str) -> Iterator[None]:
    end = time.monotonic() + SECONDS_TO_WAIT
    while not (names := _acquire(client, [f"{model}.move"])):
        if time.monotonic() > end:
            raise InputError(
                f"Could not get the registry lock of '{model}' within {SECONDS_TO_WAIT} seconds,"
                " because another process is moving the aliases. Wait for it (make history shows"
                f" its move); if no such process runs, delete the registered model '{model}.move'"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        for name in names:  # the first name first: without it, the other names have no effect
            client.delete_registered_model(name)


def _acquire(client: "MlflowClient", names: list[str]) -> list[str]:
    """Try to get the lock. Return the names to delete at the end, or [] if it is taken."""
    if _register(client, names[-1]):
        ids = [_tags(client, name).get("lock_id") for name in names[:-1]]
        if ids == [name.rsplit(".", 1)[1] for name in names[1:]]:
            return names
        client.delete_registered_model(names[-1])  # its owner has released it in the meantime
        return []
    owner = _tags(client, names[-1])
    if not owner or not process_has_ended(owner["process"], if_unknown=_is_stale(owner["time"])):
        return []
    return _acquire(client, [*names, f"{names[0]}.{owner.get('lock_id')}"])


def _is_stale(since: str) -> bool:
    return time.time() - float(since) > SECONDS_UNTIL_STALE


def _register(client: "MlflowClient", name: str) -> bool:
    from mlflow.exceptions import MlflowException

    tags = {"process": process_id(), "time": str(time.time()), "lock_id": secrets.token_hex(4)}
    try:
        client.create_registered_model(name, tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            return False
        raise
    return True


def _tags(client: "MlflowClient", name: str) -> dict[str, str]:
    """Return the tags of a registered model, or an empty dictionary if there is no such model."""
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_registered_model(name).tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
