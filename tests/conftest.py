"""The order of the tests, what makes all of them faster, and the fixtures of the store's tests."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import warm
from tests.empty_store import copy_tables

if TYPE_CHECKING:
    from ratchet.store.remote import Remote

# The files that take longest; with --dist loadfile the workers begin with them.
LONGEST = (
    "test_line",
    "test_automl_search",
    "test_workflows_train",
    "test_workflows_ci",
    "test_service_failures",
    "test_collect_loop",
    "test_store_lock",
    "test_training_reproduce",
    "test_documented",
    "test_steps",
    "test_service",
    "test_steps_promote",
    "test_steps_drift",
    "test_workflows_promote",
    "test_workflows_monitor",
    "test_traffic",
    "test_store_state",
    "test_zoo",
    "test_deploy",
)


def pytest_xdist_auto_num_workers() -> int:
    """Return two workers per core, because the slow tests wait half of the time."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Start one process that forks, for all workers of this test run."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ[warm.SHARED], end = warm.start()
        config.add_cleanup(end)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))
    if "mlflow" in sys.modules:
        copy_tables()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    from tests.stores import new_remote

    return new_remote(tmp_path / "remote.git")


@pytest.fixture
def checkout(
    tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> "Callable[[str], tuple[Remote, Path]]":
    """Return a function that creates checkouts of the remote."""
    from ratchet.store import lock
    from ratchet.store.remote import store_remote
    from tests.stores import new_checkout

    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(lock, "PAUSE", 0.1)

    def new(name: str) -> "tuple[Remote, Path]":
        folder = new_checkout(tmp_path / name, remote)
        monkeypatch.chdir(folder)
        return store_remote(folder), folder

    return new


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.stores import new_store

    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def filled(
    checkout: "Callable[[str], tuple[Remote, Path]]", empty_store: Path
) -> "Callable[[str], tuple[Remote, Path]]":
    """Return a function that creates checkouts of a remote that holds a store with run 1."""
    from ratchet.store import state
    from ratchet.store.database import copy_for_travel, settle_in
    from tests.stores import add_version

    git, folder = checkout("first")
    state.take(git, folder, to_change=True)
    copy_for_travel(empty_store, folder / "mlflow.db")
    settle_in(folder / "mlflow.db")
    add_version(folder / "mlflow.db", 1)
    state.put(git, folder)
    return checkout
