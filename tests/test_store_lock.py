"""The lock of the store, and writers at once: real git, real SQLite, killed processes."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.store import lock, state
from ratchet.store.remote import Remote
from tests.projects import REPOSITORY, environment, free_port, process, run, run_python, run_step
from tests.stores import (
    add_version,
    lock_is_held,
    python,
    runs,
    store_on,
)


def test_the_lock_of_another_folder_is_released_only_by_force(filled, remote: Path):
    holder, folder = filled("holder")
    state.take(holder, folder, to_change=True)
    other, _ = filled("other")
    with pytest.raises(InputError, match="not by this folder"):
        state.free_any(other, force=False)
    assert lock_is_held(remote)
    assert "cannot push its changes any more" in state.free_any(other, force=True)
    assert not lock_is_held(remote)
    assert state.free_any(other, force=True) == "The store is not locked"
    with pytest.raises(InputError, match="no longer has the lock"):
        state.put(holder, folder)


def test_a_reader_takes_no_lock_and_cannot_put_back(filled, remote: Path):
    git, folder = filled("reader")
    state.take(git, folder, to_change=False)
    assert not lock_is_held(remote)
    with pytest.raises(InputError, match="does not have the lock"):
        state.put(git, folder)


def test_a_remote_that_fails_while_the_store_is_taken_frees_the_lock(
    filled, remote: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("second")
    monkeypatch.setattr(Remote, "fetch", broken)
    with pytest.raises(InputError, match="does not answer"):
        state.take(git, folder, to_change=True)
    assert not lock_is_held(remote)


def broken(*_: object) -> str:
    raise InputError("it does not answer")


def test_releasing_the_lock_leaves_the_store_as_it_was(filled, remote: Path, tmp_path: Path):
    git, folder = filled("second")
    state.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    state.free(git)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_a_damaged_store_is_not_put_back_and_the_lock_is_freed(
    filled, remote: Path, tmp_path: Path
):
    git, folder = filled("second")
    state.take(git, folder, to_change=True)
    (folder / "mlflow.db").unlink()
    with pytest.raises(InputError, match="nothing to push"):
        state.put(git, folder)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_a_push_that_ignored_the_lock_is_not_overwritten(filled, remote: Path, tmp_path: Path):
    git, folder = filled("locked")
    state.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    by_hand = tmp_path / "by-hand"
    store_on(remote, by_hand)
    add_version(by_hand / "mlflow.db", 9)
    for command in (
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"],
    ):
        run(["git", *command], by_hand)
    run(["git", "push", "--quiet", "--force", str(remote), f"HEAD:{state.STORE}"], by_hand)
    with pytest.raises(InputError, match="Nothing was pushed"):
        state.put(git, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run9"]


def test_a_run_whose_lock_was_broken_puts_nothing_back(
    filled, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slow, slow_folder = filled("slow")
    monkeypatch.setattr(lock, "MINUTES", -1)
    with pytest.MonkeyPatch.context() as patch:  # it waits, but its copy is out of date
        patch.setattr(lock, "MINUTES", 1)
        patch.setattr(time, "time", lambda: 1_000_000.0)
        state.take(slow, slow_folder, to_change=True)
    monkeypatch.setattr(lock, "MINUTES", 1)
    add_version(slow_folder / "mlflow.db", 2)
    quick, quick_folder = filled("quick")
    state.take(quick, quick_folder, to_change=True)
    monkeypatch.chdir(slow_folder)
    with pytest.raises(InputError, match="no longer has the lock"):
        state.put(slow, slow_folder)
    assert lock_is_held(remote)
    add_version(quick_folder / "mlflow.db", 3)
    state.put(quick, quick_folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run3"]


def test_a_run_waits_for_the_lock_of_a_running_run(filled, monkeypatch: pytest.MonkeyPatch):
    holder, folder = filled("holder")
    state.take(holder, folder, to_change=True)
    waiter, _ = filled("waiter")
    lines: list[str] = []
    freed = threading.Timer(1.0, state.free, [holder])
    freed.start()
    lock.acquire(waiter, lines.append)
    freed.join()
    assert lines[0].startswith("The store is locked by ")
    assert lines[-1] == "This run now has the store lock: it was not taken"


def test_the_lock_of_an_earlier_attempt_is_broken(filled, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "1")
    dead, folder = filled("attempt-1")
    state.take(dead, folder, to_change=True)
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    git, _ = filled("attempt-2")
    lines: list[str] = []
    lock.acquire(git, lines.append)
    assert "an earlier attempt of" in lines[-1]


@pytest.mark.parametrize(("status", "broken"), [("completed", True), ("in_progress", False)])
def test_the_lock_is_broken_if_github_says_that_the_run_has_ended(
    filled, monkeypatch: pytest.MonkeyPatch, status: str, broken: bool
):
    addresses: list[str] = []

    class GitHub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            addresses.append(f"{self.path} {self.headers['Authorization']}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"status": status, "run_attempt": 1}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/ratchet")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    dead, folder = filled("dead")
    state.take(dead, folder, to_change=True)
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    git, _ = filled("next")
    commit = git.refs(lock.LOCK)[lock.LOCK]
    reason = lock.expired_reason(lock.owner_of(git, commit), ask_github=True)
    server.shutdown()
    assert (reason is not None) == broken
    assert addresses == ["/repos/me/ratchet/actions/runs/7 Bearer secret"]


@pytest.mark.slow
def test_a_store_that_is_too_large_is_kept_and_only_alias_moves_can_lock_it(filled, remote: Path):
    git, folder = filled("growing")
    state.take(git, folder, to_change=True)
    with (folder / "mlruns/0/run1/artifacts/large").open("wb") as file:
        file.truncate(51_000_000)
    warning = state.put(git, folder).warning
    assert "mlruns/0/run1/artifacts/large has 51 MB, more than 50 MB for one file" in warning
    assert "action=move" in warning
    assert "action=prune" in warning
    git, folder = filled("next")
    with pytest.raises(InputError, match="is too large for a git ref"):
        state.take(git, folder, to_change=True)
    assert not lock_is_held(remote)
    state.take(git, folder, to_change=True, limit_size=False)  # a rollback
    state.put(git, folder)
    state.take(
        git, folder, to_change=False
    )  # the command that moves the store to a server reads it
    assert (folder / "mlruns/0/run1/artifacts/large").stat().st_size == 51_000_000


WRITER = """
import sys, time
from pathlib import Path
from ratchet.store import lock, state
from ratchet.store.database import copy_for_travel, migrate, settle_in
from ratchet.store.remote import store_remote
from tests.stores import add_version
lock.PAUSE = 0.1
first, rounds = int(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + rounds):
    here = Path.cwd()
    git = store_remote(here)
    state.take(git, here, to_change=True)
    add_version(here / "mlflow.db", number)
    state.put(git, here)
"""


@pytest.mark.slow
def test_three_writers_at_once_lose_nothing(filled, remote: Path, tmp_path: Path):
    env = environment()
    writers = []
    for first in (100, 200, 300):
        _, folder = filled(f"writer{first}")
        command = [sys.executable, "-c", WRITER, str(first), "10"]
        writers.append(subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL))
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    expected = ["run1", *(f"run{first + n}" for first in (100, 200, 300) for n in range(10))]
    assert runs(store_on(remote, tmp_path / "seen")) == sorted(expected)
    assert not lock_is_held(remote)


KILLING_GIT = """#!{python}
import os, pathlib, signal, subprocess, sys
count = pathlib.Path(os.environ["CALLS"])
call = int(count.read_text() or 0) + 1 if count.exists() else 1
count.write_text(str(call))
at, after = int(os.environ["KILL_AT"]), os.environ["AFTER"] == "true"
if call == at and not after:
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)
done = subprocess.run(["{git}", *sys.argv[1:]])
if call == at:
    os.kill(os.getppid(), signal.SIGKILL)
sys.exit(done.returncode)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", ["false", "true"])
def test_a_run_killed_at_any_moment_leaves_the_old_store_or_the_new_one(
    filled, remote: Path, tmp_path: Path, after: str
):
    """The run is killed before and after each git command that it calls."""
    programs = tmp_path / "bin"
    programs.mkdir()
    git = programs / "git"
    git.write_text(KILLING_GIT.format(python=sys.executable, git=shutil.which("git")))
    git.chmod(0o755)
    env = {"CALLS": str(tmp_path / "calls"), "AFTER": after, "GITHUB_RUN_ID": "7"}
    done, seen_new, at = False, 0, 0
    while not done:
        at += 1
        (tmp_path / "calls").unlink(missing_ok=True)
        _, folder = filled(f"killed{at}")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        script = WRITER.replace(
            "import sys, time", f"import os, sys; os.environ['PATH'] = {path!r}"
        )
        number = 1000 + at
        died = run_python(
            ["-c", script, str(number), "1"],
            folder,
            KILL_AT=str(at),
            GITHUB_RUN_ATTEMPT=str(2 * at),
            **env,
        )
        done = died.returncode == 0
        assert done or died.returncode == -9, died.stderr
        stored_runs = runs(store_on(remote, tmp_path / f"seen{at}"))
        assert "run1" in stored_runs
        has_new = f"run{number}" in stored_runs
        assert not (has_new and lock_is_held(remote))  # the two are one push
        seen_new += has_new
        _, folder = filled(f"next{at}")
        following = run_python(
            ["-c", WRITER, str(5000 + at), "1"],
            folder,
            GITHUB_RUN_ID="7",
            GITHUB_RUN_ATTEMPT=str(2 * at + 1),
        )
        assert following.returncode == 0, following.stderr
    assert at > 10
    stored_runs = runs(store_on(remote, tmp_path / "seen"))
    assert [f"run{5000 + n}" in stored_runs for n in range(1, at + 1)] == [True] * at
    assert seen_new >= 1


LOSING_ANSWERS = """#!/bin/sh
{git} "$@"
code=$?
case "$*" in *" push "*) exit 1 ;; esac
exit $code
"""


def test_a_push_whose_answer_is_lost_counts_as_done(
    filled, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("second")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(LOSING_ANSWERS.format(git=shutil.which("git")))
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    state.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    state.put(git, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run2"]
    assert not lock_is_held(remote)


@pytest.mark.slow
def test_the_step_takes_locks_and_puts_back_what_train_records(
    checkout, remote: Path, tmp_path: Path
):
    _, folder = checkout("job")
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    for step, arguments in (
        ("store", {"action": "lock"}),
        ("train", {"config": "configs/models/baseline.yaml"}),
        ("evaluate", {}),
        ("store", {"action": "put"}),
    ):
        done = run_step(folder, step, **arguments)
        assert done.returncode == 0, done.stderr
    _, laptop = checkout("laptop")
    shutil.copytree(REPOSITORY / "configs", laptop / "configs")
    done = run_step(laptop, "store", action="take", folder=".ratchet/store")
    assert done.returncode == 0, done.stderr
    script = (
        "from ratchet.registry.registry import Registry;"
        "from ratchet.registry.tracking import connect;"
        "from ratchet.model.model_file import load;"
        "r = Registry(connect(), 'iris'); v = r.holder('prod');"
        "print(v, type(load(r.folder(v))).__name__)"
    )
    seen = python(script, laptop / ".ratchet/store")
    assert seen.stdout.strip() == "v1 (baseline) Pipeline", seen.stderr
    _the_ui_shows_its_pictures(laptop / ".ratchet/store")


def _the_ui_shows_its_pictures(folder: Path) -> None:
    """Start the server as `make ui STORE=remote` does."""
    (trained,) = (folder / "mlruns").rglob("confusion_matrix.png")
    port = free_port()
    command = ["mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:///mlflow.db"]
    run_id = trained.parent.parent.name
    address = f"http://localhost:{port}/get-artifact?run_uuid={run_id}&path=confusion_matrix.png"
    with process(command, folder, port), urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.read() == trained.read_bytes()
