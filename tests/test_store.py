"""The store on a branch: real git, real SQLite, processes really killed."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.store import branch, lock
from ratchet.store.database import copy_for_travel, migrate, settle_in
from ratchet.store.remote import Remote, beside
from tests.projects import REPOSITORY, environment, free_port, process, run, run_step
from tests.stores import (
    add_version,
    artifacts,
    lock_is_held,
    new_checkout,
    new_remote,
    new_store,
    python,
    runs,
    store_on,
)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return new_remote(tmp_path / "remote.git")


@pytest.fixture
def checkout(
    tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Remote, Path]]:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(lock, "PAUSE", 0.1)

    def new(name: str) -> tuple[Remote, Path]:
        folder = new_checkout(tmp_path / name, remote)
        monkeypatch.chdir(folder)
        return beside(folder), folder

    return new


@pytest.fixture
def filled(
    checkout: Callable[[str], tuple[Remote, Path]], empty_store: Path
) -> Callable[[str], tuple[Remote, Path]]:
    """Checkouts of a remote whose branch already holds a store with run 1."""
    git, folder = checkout("first")
    branch.take(git, folder, to_change=True)
    copy_for_travel(empty_store, folder / "mlflow.db")
    settle_in(folder / "mlflow.db")
    add_version(folder / "mlflow.db", 1)
    branch.put(git, folder)
    return checkout


def test_a_first_run_finds_no_branch_and_begins_it(filled, remote: Path, tmp_path: Path):
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]
    assert not lock_is_held(remote)


def test_a_store_taken_elsewhere_finds_its_artifacts_there(filled):
    git, folder = filled("second")
    branch.take(git, folder, to_change=False)
    (found,) = artifacts(folder / "mlflow.db")
    assert found == folder / "mlruns/0/run1/artifacts"
    assert (found / "model.skops").read_bytes() == b"\1" * 100


def test_the_branch_names_no_folder_of_any_machine(filled, remote: Path, tmp_path: Path):
    seen = store_on(remote, tmp_path / "seen")
    assert artifacts(seen) == [Path("mlruns/0/run1/artifacts")]
    assert str(tmp_path).encode() not in seen.read_bytes()


def test_the_branch_holds_one_commit_however_often_it_is_put_back(filled, remote: Path):
    for number in (2, 3):
        git, folder = filled(f"run{number}")
        branch.take(git, folder, to_change=True)
        add_version(folder / "mlflow.db", number)
        branch.put(git, folder)
    count = run(["git", "rev-list", "--count", "ratchet-store"], remote).stdout.strip()
    assert count == "1"


def test_an_artifact_that_was_deleted_is_gone_from_the_branch(filled, remote: Path, tmp_path: Path):
    git, folder = filled("second")
    branch.take(git, folder, to_change=True)
    shutil.rmtree(folder / "mlruns/0/run1")
    branch.put(git, folder)
    seen = store_on(remote, tmp_path / "seen")
    assert not (seen.parent / "mlruns").exists()


def test_reading_takes_no_lock_and_cannot_put_back(filled, remote: Path):
    git, folder = filled("reader")
    branch.take(git, folder, to_change=False)
    assert not lock_is_held(remote)
    with pytest.raises(InputError, match="was not taken with the lock"):
        branch.put(git, folder)


def test_a_store_of_the_folders_own_is_not_overwritten(filled):
    git, folder = filled("laptop")
    (folder / "mlflow.db").write_text("mine")
    with pytest.raises(InputError, match="a store of this folder's own"):
        branch.take(git, folder, to_change=False)
    assert (folder / "mlflow.db").read_text() == "mine"


def test_a_remote_that_does_not_answer_is_a_fault_and_no_first_run(
    filled, remote: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("offline")
    monkeypatch.setattr("ratchet.store.remote.ATTEMPTS", 1)
    remote.rename(remote.with_name("gone.git"))
    with pytest.raises(InputError, match="does not answer"):
        branch.take(git, folder, to_change=True)
    assert not (folder / "mlflow.db").exists()


def test_a_remote_that_fails_while_the_store_is_taken_frees_the_lock(
    filled, remote: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("second")
    monkeypatch.setattr(Remote, "fetch", broken)
    with pytest.raises(InputError, match="does not answer"):
        branch.take(git, folder, to_change=True)
    assert not lock_is_held(remote)


def broken(*_: object) -> str:
    raise InputError("it does not answer")


def test_freeing_leaves_the_branch_as_it_was(filled, remote: Path, tmp_path: Path):
    git, folder = filled("second")
    branch.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    branch.free(git)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_a_damaged_store_is_not_put_back_and_the_lock_is_freed(
    filled, remote: Path, tmp_path: Path
):
    git, folder = filled("second")
    branch.take(git, folder, to_change=True)
    (folder / "mlflow.db").unlink()
    with pytest.raises(InputError, match="nothing to put back"):
        branch.put(git, folder)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_whoever_pushes_past_the_lock_is_not_overwritten(filled, remote: Path, tmp_path: Path):
    git, folder = filled("locked")
    branch.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    by_hand = tmp_path / "by-hand"
    store_on(remote, by_hand)
    add_version(by_hand / "mlflow.db", 9)
    for command in (
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"],
    ):
        run(["git", *command], by_hand)
    run(["git", "push", "--quiet"], by_hand)
    with pytest.raises(InputError, match="Nothing was put back"):
        branch.put(git, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run9"]


def test_a_run_whose_lock_was_broken_puts_nothing_back(
    filled, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slow, slow_folder = filled("slow")
    monkeypatch.setattr(lock, "MINUTES", -1)
    with pytest.MonkeyPatch.context() as patch:  # it waits, but what it holds is out of date
        patch.setattr(lock, "MINUTES", 1)
        patch.setattr(time, "time", lambda: 1_000_000.0)
        branch.take(slow, slow_folder, to_change=True)
    monkeypatch.setattr(lock, "MINUTES", 1)
    add_version(slow_folder / "mlflow.db", 2)
    quick, quick_folder = filled("quick")
    branch.take(quick, quick_folder, to_change=True)
    monkeypatch.chdir(slow_folder)
    with pytest.raises(InputError, match="the lock is no longer this run's"):
        branch.put(slow, slow_folder)
    assert lock_is_held(remote)
    add_version(quick_folder / "mlflow.db", 3)
    branch.put(quick, quick_folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run3"]


def test_a_lock_of_a_living_run_is_waited_for(filled, monkeypatch: pytest.MonkeyPatch):
    holder, folder = filled("holder")
    branch.take(holder, folder, to_change=True)
    waiter, _ = filled("waiter")
    said: list[str] = []
    freed = threading.Timer(1.0, branch.free, [holder])
    freed.start()
    lock.acquire(waiter, said.append)
    freed.join()
    assert said[0].startswith("The store is held by ")
    assert said[-1] == "The store's lock is this run's: it was free"


def test_an_earlier_attempt_of_the_same_run_holds_nothing(filled, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "1")
    dead, folder = filled("attempt-1")
    branch.take(dead, folder, to_change=True)
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    git, _ = filled("attempt-2")
    said: list[str] = []
    lock.acquire(git, said.append)
    assert "held it in an earlier attempt" in said[-1]


@pytest.mark.parametrize(("status", "broken"), [("completed", True), ("in_progress", False)])
def test_github_is_asked_whether_the_holders_run_is_over(
    filled, monkeypatch: pytest.MonkeyPatch, status: str, broken: bool
):
    asked: list[str] = []

    class GitHub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
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
    branch.take(dead, folder, to_change=True)
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    git, _ = filled("next")
    held = git.refs(lock.LOCK)[lock.LOCK]
    reason = lock.over(lock.holder_of(git, held), ask_github=True)
    server.shutdown()
    assert (reason is not None) == broken
    assert asked == ["/repos/me/ratchet/actions/runs/7 Bearer secret"]


def test_a_store_that_outgrows_the_branch_is_kept_named_and_refused_to_the_next(
    filled, remote: Path
):
    git, folder = filled("growing")
    branch.take(git, folder, to_change=True)
    with (folder / "mlruns/0/run1/artifacts/large").open("wb") as file:
        file.truncate(51_000_000)
    warning = branch.put(git, folder)
    assert warning is not None
    assert "mlruns/0/run1/artifacts/large has 51 MB, and a file may have 50" in warning
    assert "action=move" in warning
    git, folder = filled("next")
    with pytest.raises(InputError, match="has outgrown its branch"):
        branch.take(git, folder, to_change=True)
    assert not lock_is_held(remote)
    branch.take(git, folder, to_change=False)  # what moves it reads it
    assert (folder / "mlruns/0/run1/artifacts/large").stat().st_size == 51_000_000


def test_what_the_host_would_refuse_is_not_pushed(filled, remote: Path, tmp_path: Path):
    git, folder = filled("huge")
    branch.take(git, folder, to_change=True)
    with (folder / "mlruns/0/run1/artifacts/huge").open("wb") as file:
        file.truncate(101_000_000)
    with pytest.raises(InputError, match=r"Nothing was put back.*huge has 101 MB"):
        branch.put(git, folder)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_artifacts_outside_the_folder_are_named_rather_than_left_behind(filled, tmp_path: Path):
    git, folder = filled("outside")
    branch.take(git, folder, to_change=True)
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copy(folder / "mlflow.db", other / "mlflow.db")
    add_version(other / "mlflow.db", 2)
    shutil.copy(other / "mlflow.db", folder / "mlflow.db")
    with pytest.raises(InputError, match="outside"):
        branch.put(git, folder)


WRITER = """
import sys, time
from pathlib import Path
from ratchet.store import branch, lock
from ratchet.store.database import copy_for_travel, migrate, settle_in
from ratchet.store.remote import beside
from tests.stores import add_version
lock.PAUSE = 0.1
first, rounds = int(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + rounds):
    here = Path.cwd()
    git = beside(here)
    branch.take(git, here, to_change=True)
    add_version(here / "mlflow.db", number)
    branch.put(git, here)
"""


@pytest.mark.slow
def test_three_writers_at_once_lose_nothing(filled, remote: Path, tmp_path: Path):
    env = environment(PYTHONPATH=str(REPOSITORY))
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
    """At each of the git commands that a run calls, before it and after it."""
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
        died = run(
            [sys.executable, "-c", script, str(number), "1"], folder,
            PYTHONPATH=str(REPOSITORY), KILL_AT=str(at), GITHUB_RUN_ATTEMPT=str(2 * at), **env,
        )  # fmt: skip
        done = died.returncode == 0
        assert done or died.returncode == -9, died.stderr
        found = runs(store_on(remote, tmp_path / f"seen{at}"))
        assert "run1" in found
        has_new = f"run{number}" in found
        assert not (has_new and lock_is_held(remote))  # the two are one push
        seen_new += has_new
        _, folder = filled(f"next{at}")
        following = run(
            [sys.executable, "-c", WRITER, str(5000 + at), "1"], folder,
            PYTHONPATH=str(REPOSITORY), GITHUB_RUN_ID="7", GITHUB_RUN_ATTEMPT=str(2 * at + 1),
        )  # fmt: skip
        assert following.returncode == 0, following.stderr
    assert at > 10
    found = runs(store_on(remote, tmp_path / "seen"))
    assert [f"run{5000 + n}" in found for n in range(1, at + 1)] == [True] * at
    assert seen_new >= 1


LOSING_ANSWERS = """#!/bin/sh
{git} "$@"
code=$?
case "$*" in *" push "*) exit 1 ;; esac
exit $code
"""


def test_a_push_whose_answer_is_lost_is_recognised(
    filled, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("second")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(LOSING_ANSWERS.format(git=shutil.which("git")))
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    branch.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    branch.put(git, folder)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run2"]
    assert not lock_is_held(remote)


def test_a_token_reaches_git_and_no_command_line(monkeypatch: pytest.MonkeyPatch):
    from ratchet.store import remote as store_remote

    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    settings = store_remote._settings("https://github.com/me/ratchet")
    assert "http.https://github.com/.extraheader" in settings.values()
    assert "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0" in settings.values()
    elsewhere = store_remote._settings("https://example.org/me/ratchet")
    assert not [value for value in elsewhere.values() if "AUTHORIZATION" in value]


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
    """As `make ui STORE=branch` starts it."""
    (trained,) = (folder / "mlruns").rglob("confusion_matrix.png")
    port = free_port()
    command = ["mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:///mlflow.db"]
    run_id = trained.parent.parent.name
    address = f"http://localhost:{port}/get-artifact?run_uuid={run_id}&path=confusion_matrix.png"
    with process(command, folder, port), urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.read() == trained.read_bytes()


@pytest.mark.slow
def test_a_store_of_an_older_mlflow_is_brought_up_to_date(tmp_path: Path):
    """As a lock with a newer MLflow meets the branch: to the last schema but one, and on."""
    import mlflow
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import InitialBase, _get_alembic_config, _verify_schema
    from sqlalchemy import create_engine

    database = tmp_path / "mlflow.db"
    config = _get_alembic_config(f"sqlite:///{database}")
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_revision(scripts.get_current_head())
    InitialBase.metadata.create_all(create_engine(f"sqlite:///{database}"))
    command.upgrade(config, newest.down_revision)
    engine = create_engine(f"sqlite:///{database}")
    with pytest.raises(mlflow.MlflowException, match="out-of-date database schema"):
        _verify_schema(engine)
    assert migrate(database)
    assert not migrate(database)
    assert mlflow.MlflowClient(f"sqlite:///{database}").search_experiments()


def test_an_unknown_action_names_the_nearest(tmp_path: Path):
    done = run_step(tmp_path, "store", action="tak")
    assert done.returncode == 2
    assert done.stderr.strip() == "store: action=tak: did you mean 'take'?"


def test_with_a_server_the_branch_is_not_used(tmp_path: Path):
    done = run_step(tmp_path, "store", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, action="lock")
    assert done.returncode == 0
    assert "the branch is not used" in done.stdout
