"""The store over smart HTTP with a token, as on GitHub: `git http-backend` on loopback."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.store import lock, state
from ratchet.store.database import settle_in
from ratchet.store.remote import Remote, store_remote
from tests.projects import run
from tests.stores import (
    add_version,
    lock_is_held,
    new_checkout,
    new_remote,
    new_store,
    runs,
    serving_git,
    store_on,
)

pytestmark = pytest.mark.slow

Checkout = Callable[[str], tuple[Remote, Path]]
TOKEN = "a-token"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return new_remote(tmp_path / "ratchet.git")


@pytest.fixture
def checkout(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """Return a function that creates checkouts of the remote by HTTP."""
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(lock, "PAUSE", 0.1)
    monkeypatch.setattr("ratchet.store.remote.ATTEMPTS", 1)
    with serving_git(tmp_path, TOKEN) as server:
        monkeypatch.setenv("GITHUB_SERVER_URL", server)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)

        def new(name: str) -> tuple[Remote, Path]:
            folder = new_checkout(tmp_path / name, Path("none"))
            address = f"{server}/ratchet.git"
            run(["git", "remote", "set-url", "origin", address], folder)
            monkeypatch.chdir(folder)
            return store_remote(folder), folder

        yield new


def first_state(checkout: Checkout) -> None:
    git, folder = checkout("first")
    state.take(git, folder, to_change=True)
    new_store(folder)
    settle_in(folder / "mlflow.db")
    add_version(folder / "mlflow.db", 1)
    with (folder / "mlruns/0/run1/artifacts/large").open("wb") as file:
        file.write(os.urandom(3_000_000))  # above http.postBuffer: git sends chunks
    state.put(git, folder)


def test_the_store_can_be_put_taken_locked_and_restored_over_http(
    checkout: Checkout, remote: Path, tmp_path: Path
):
    first_state(checkout)
    assert not lock_is_held(remote)
    git, folder = checkout("second")
    state.take(git, folder, to_change=True)
    assert lock_is_held(remote)
    add_version(folder / "mlflow.db", 2)
    state.put(git, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run2"]
    assert state.restore(git, 1) == 3
    assert runs(store_on(remote, tmp_path / "restored")) == ["run1"]
    assert not lock_is_held(remote)


def test_a_run_that_lost_its_lock_changes_nothing(checkout: Checkout, remote: Path, tmp_path: Path):
    first_state(checkout)
    slow, folder = checkout("slow")
    state.take(slow, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    other, _ = checkout("other")
    state.free_any(other, force=True)
    os.chdir(folder)
    with pytest.raises(InputError, match="no longer has the lock"):
        state.put(slow, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_a_remote_without_the_token_is_an_error_and_not_a_first_run(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GITHUB_TOKEN")
    git, folder = checkout("stranger")
    with pytest.raises(InputError, match="does not answer"):
        state.take(git, folder, to_change=False)
