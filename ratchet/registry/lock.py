"""One process at a time moves a model's aliases, on whatever store the registry lies.

MLflow has no lock. It has one promise that every store keeps: a name is registered once. So the
turn is a registered model whose name says so, there for the moment that a move takes. Where its
holder was killed, the next one does not remove it, for it might remove another's: it registers
the name that follows, makes sure that the dead holder's stands still, and then clears both.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ratchet.errors import InputError
from ratchet.registry.provenance import process_id, process_is_over

if TYPE_CHECKING:
    from mlflow import MlflowClient

SECONDS_OF_A_TURN = 60  # on another machine: a move takes one or two
SECONDS_TO_WAIT = 120


@contextmanager
def turn(client: "MlflowClient", model: str) -> Iterator[None]:
    end = time.monotonic() + SECONDS_TO_WAIT
    while not (names := _taken(client, [f"{model}.move"])):
        if time.monotonic() > end:
            raise InputError(
                f"another process has been moving the aliases of '{model}' for {SECONDS_TO_WAIT}"
                f" seconds; see make history, and delete the registered model '{model}.move' if no"
                " process runs"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        for name in names:  # the first one first: without it those that follow mean nothing
            client.delete_registered_model(name)


def _taken(client: "MlflowClient", names: list[str]) -> list[str]:
    """The names to clear afterwards; none where a living process has the turn."""
    if _registered(client, names[-1]):
        stand = [_holder(client, name).get("turn") for name in names[:-1]]
        if stand == [name.rsplit(".", 1)[1] for name in names[1:]]:
            return names
        client.delete_registered_model(names[-1])  # the turn that was to be taken over has ended
        return []
    holder = _holder(client, names[-1])
    if not holder or not process_is_over(holder["process"], or_unknown=_is_old(holder["time"])):
        return []
    return _taken(client, [*names, f"{names[0]}.{holder['turn']}"])


def _is_old(since: str) -> bool:
    return time.time() - float(since) > SECONDS_OF_A_TURN


def _registered(client: "MlflowClient", name: str) -> bool:
    from mlflow.exceptions import MlflowException

    tags = {"process": process_id(), "time": str(time.time()), "turn": secrets.token_hex(4)}
    try:
        client.create_registered_model(name, tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_ALREADY_EXISTS":
            return False
        raise
    return True


def _holder(client: "MlflowClient", name: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_registered_model(name).tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
