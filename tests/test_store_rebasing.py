"""Runs and versions of a copy, applied to the newest state: real MLflow, real git."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ratchet.registry.registry import Registry
from ratchet.store import state
from ratchet.store.rebasing import rebase
from ratchet.store.remote import Remote
from tests.stores import lock_is_held, store_on

Checkout = Callable[[str], tuple[Remote, Path]]


def registry_in(folder: Path, database: str = "mlflow.db") -> Registry:
    address = f"sqlite:///{folder}/{database}"
    return Registry(MlflowClient(address, address), "iris")


def add_version(folder: Path, config: str) -> str:
    """Record a run with a metric and a model file, register a version, and return the run's id."""
    registry = registry_in(folder, "./mlflow.db")  # another address: MLflow keeps files open
    client = registry._client
    run = client.create_run("0", tags={"config": config})
    client.log_metric(run.info.run_id, "accuracy", 0.9)
    model = client.create_logged_model("0", source_run_id=run.info.run_id)
    client.finalize_logged_model(model.model_id, "READY")
    where = Path(model.artifact_location)
    where.mkdir(parents=True)
    (where / "model.skops").write_text(config)
    tags = dict.fromkeys(("config_sha256", "data_sha256", "lock_sha256"), config)
    registry.register(run.info.run_id, model.model_id, tags | {"config": config})
    return run.info.run_id


@pytest.mark.slow
def test_two_copies_that_were_trained_at_the_same_time_are_both_kept(
    checkout: Checkout, remote: Path, tmp_path: Path
):
    copies = [checkout(name) for name in ("one", "two")]
    for git, folder in copies:
        state.take(git, folder, to_change=False)
        os.chdir(folder)
        add_version(folder, folder.name)
    assert not lock_is_held(remote)
    for git, folder in copies:
        os.chdir(folder)
        rebase(git, folder, "iris", limit_size=True)
        assert lock_is_held(remote)
        state.put(git, folder)
    git, folder = checkout("reader")
    state.take(git, folder, to_change=False)
    registry = registry_in(folder)
    assert [version.tags["config"] for version in registry.versions()] == ["two", "one"]
    for version in registry.versions():
        run = registry._client.get_run(version.run_id)
        assert run.data.metrics == {"accuracy": 0.9}
        model = Path(registry.location(version))
        assert model.is_relative_to(folder)
        assert (model / "model.skops").read_text() == version.tags["config"]


@pytest.mark.slow
def test_a_config_that_another_run_trained_meanwhile_is_not_registered_twice(checkout: Checkout):
    copies = [checkout(name) for name in ("one", "two")]
    for git, folder in copies:
        state.take(git, folder, to_change=False)
        os.chdir(folder)
        add_version(folder, "baseline")
    added = []
    for git, folder in copies:
        os.chdir(folder)
        added.append(rebase(git, folder, "iris", limit_size=True)[1])
        state.put(git, folder)
    assert added[1] == []
    git, folder = checkout("reader")
    state.take(git, folder, to_change=False)
    assert [version.number for version in registry_in(folder).versions()] == ["1"]


@pytest.mark.slow
def test_alias_moves_of_another_run_are_kept(checkout: Checkout):
    git, folder = checkout("first")
    state.take(git, folder, to_change=True)
    add_version(folder, "baseline")
    state.put(git, folder)
    slow, slow_folder = checkout("slow")
    state.take(slow, slow_folder, to_change=False)
    add_version(slow_folder, "neighbours")
    git, folder = checkout("rollback")
    state.take(git, folder, to_change=True)
    registry_in(folder).move({"prod": "1"}, "by hand", "none")
    state.put(git, folder)
    os.chdir(slow_folder)
    _, added = rebase(slow, slow_folder, "iris", limit_size=True)
    assert added == ["2"]
    assert registry_in(slow_folder).aliases() == {"prod": "1"}


def test_a_copy_without_anything_new_leaves_the_store_as_it_is(
    checkout: Checkout, remote: Path, tmp_path: Path
):
    git, folder = checkout("first")
    state.take(git, folder, to_change=False)
    taken, added = rebase(git, folder, "iris", limit_size=True)
    assert (taken.store, added) == (None, [])
    assert state.put(git, folder) is None
    assert not store_on(remote, tmp_path / "seen").exists()
