"""The connection to MLflow, and the MLflow runs of the steps."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ratchet.errors import InputError
from ratchet.registry.provenance import (
    is_demonstration,
    process_has_ended,
    process_id,
    provenance,
)

if TYPE_CHECKING:
    from mlflow import ActiveRun, MlflowClient

DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
A_DAY = 24 * 3600
LINE_RUN = "RATCHET_LINE_RUN"  # the id of the whole line's run, which is the parent of its steps


def connect() -> "MlflowClient":
    """Return a client of the store at MLFLOW_TRACKING_URI, or of ./mlflow.db if it is not set.

    Raise InputError at once if the server does not answer. MLflow itself would retry for minutes.
    """
    require_store()
    _require_answer(os.environ.get("MLFLOW_TRACKING_URI", ""))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow.MlflowClient()


def require_store() -> None:
    """Raise InputError if MLFLOW_TRACKING_URI contradicts RATCHET_STORE.

    Otherwise, if somebody deletes the address by mistake, the runs would begin a second store.
    """
    required, uri = os.environ.get("RATCHET_STORE", ""), os.environ.get("MLFLOW_TRACKING_URI", "")
    if required not in ("", "git", "server"):
        raise InputError(f"RATCHET_STORE is '{required}'. Expected: git, server, or not set")
    if required == "server" and not uri:
        raise InputError(
            "RATCHET_STORE is 'server', but MLFLOW_TRACKING_URI is empty. Set the server's address"
            " again; without it this run would begin a second store"
        )
    if required == "git" and uri:
        raise InputError(
            "RATCHET_STORE is 'git', but MLFLOW_TRACKING_URI is set. Remove the address, or set"
            " RATCHET_STORE to 'server'"
        )


def _require_answer(uri: str) -> None:
    address = urlsplit(uri)
    if not address.hostname:
        return
    port = address.port or DEFAULT_PORTS.get(address.scheme.split("+")[0], 443)
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
    except OSError as error:
        raise InputError(
            f"MLFLOW_TRACKING_URI: {address.hostname}:{port} does not answer ({error}). Start the"
            " server (make ui), or unset MLFLOW_TRACKING_URI to use ./mlflow.db"
        ) from None


@contextmanager
def step_run(step: str) -> Iterator["ActiveRun"]:
    """Start the step's MLflow run, or continue the run that `mlflow run` created for it.

    If the step is a part of the whole line (step `main`), its run is a child of the line's run.
    """
    import mlflow

    name = None if "MLFLOW_RUN_ID" in os.environ else step
    parent = os.environ.get(LINE_RUN)
    tags = run_tags() | {"step": step}
    with mlflow.start_run(run_name=name, parent_run_id=parent, tags=tags) as run:
        yield run


@contextmanager
def nested_run(name: str, tags: dict[str, str]) -> Iterator["ActiveRun"]:
    import mlflow

    with mlflow.start_run(run_name=name, nested=True, tags=run_tags() | tags) as run:
        yield run


def run_tags() -> dict[str, str]:
    """Return the tags of a run. MLflow's own commit tag ends in "-dirty" if the tree was dirty."""
    source = provenance()
    demo = {"demo": "true"} if is_demonstration() else {}
    return (
        source.tags()
        | demo
        | {"mlflow.source.git.commit": source.revision, "process": process_id()}
    )


def end_dead_runs(client: "MlflowClient") -> list[str]:
    """Set RUNNING runs to KILLED if their process has ended, and return their ids.

    Whether a process on another machine has ended is not known. Its run counts as killed after a
    day, because no job on GitHub lasts longer.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    running = client.search_runs(experiments, "attributes.status = 'RUNNING'", max_results=1000)
    dead = []
    for run in running:
        age = time.time() - run.info.start_time / 1000
        process = run.data.tags.get("process")
        if process is not None and process_has_ended(process, if_unknown=age > A_DAY):
            client.set_terminated(run.info.run_id, "KILLED")
            dead.append(run.info.run_id)
    return dead
