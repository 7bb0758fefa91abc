"""The store on a git ref, with real git, real SQLite and killed processes."""

import shutil
from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.store import state
from ratchet.store.database import migrate
from tests.projects import run, run_step
from tests.stores import (
    add_version,
    artifacts,
    lock_is_held,
    runs,
    store_on,
)


def test_the_first_run_finds_no_store_and_creates_it(filled, remote: Path, tmp_path: Path):
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]
    assert not lock_is_held(remote)


def test_a_store_taken_elsewhere_finds_its_artifacts_there(filled):
    git, folder = filled("second")
    state.take(git, folder, to_change=False)
    (artifact,) = artifacts(folder / "mlflow.db")
    assert artifact == folder / "mlruns/0/run1/artifacts"
    assert (artifact / "model.skops").read_bytes() == b"\1" * 100


def test_the_store_on_the_remote_contains_no_absolute_path(filled, remote: Path, tmp_path: Path):
    seen = store_on(remote, tmp_path / "seen")
    assert artifacts(seen) == [Path("mlruns/0/run1/artifacts")]
    assert str(tmp_path).encode() not in seen.read_bytes()


def test_each_state_is_one_commit_and_the_last_ten_are_kept(filled, remote: Path, tmp_path: Path):
    for number in range(2, 13):
        git, folder = filled(f"run{number}")
        state.take(git, folder, to_change=True)
        add_version(folder / "mlflow.db", number)
        state.put(git, folder)
    count = run(["git", "rev-list", "--count", state.STORE], remote).stdout.strip()
    assert count == "1"
    assert state.states(git) == list(range(3, 13))
    assert len(runs(store_on(remote, tmp_path / "third", "refs/ratchet/store-3"))) == 3


def test_a_bad_write_is_undone_by_restoring_an_older_state(filled, remote: Path, tmp_path: Path):
    git, folder = filled("bad")
    state.take(git, folder, to_change=True)
    shutil.rmtree(folder / "mlruns")
    state.put(git, folder)
    git, folder = filled("laptop")
    assert state.restore(git, 1) == 3
    seen = store_on(remote, tmp_path / "seen")
    assert runs(seen) == ["run1"]
    assert (seen.parent / "mlruns/0/run1/artifacts/model.skops").exists()
    assert not lock_is_held(remote)
    with pytest.raises(InputError, match=r"state=9 does not exist. The states that exist: 1, 2, 3"):
        state.restore(git, 9)


def test_a_plain_clone_does_not_bring_the_store(filled, remote: Path, tmp_path: Path):
    filled("any")
    run(["git", "clone", "--quiet", f"file://{remote}", str(tmp_path / "clone")], tmp_path)
    refs = run(["git", "for-each-ref", "--format=%(refname)"], tmp_path / "clone").stdout.split()
    assert [ref for ref in refs if "ratchet" in ref] == []
    objects = run(["git", "count-objects", "-v"], tmp_path / "clone").stdout
    assert "count: 0" in objects


def test_the_store_of_an_old_fork_moves_from_its_branch_to_the_ref(
    filled, remote: Path, tmp_path: Path
):
    filled("any")
    old = run(["git", "rev-parse", state.STORE], remote).stdout.strip()
    for ref in (state.STORE, f"{state.STORE}-1"):
        run(["git", "update-ref", "-d", ref], remote)
    run(["git", "update-ref", state.OLD_BRANCH, old], remote)
    git, folder = filled("reader")
    state.take(git, folder, to_change=False)
    assert runs(folder / "mlflow.db") == ["run1"]
    git, folder = filled("writer")
    state.take(git, folder, to_change=True)
    add_version(folder / "mlflow.db", 2)
    state.put(git, folder)
    refs = run(["git", "for-each-ref", "--format=%(refname)"], remote).stdout.split()
    assert refs == ["refs/ratchet/store", "refs/ratchet/store-1"]
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1", "run2"]


def test_a_run_before_the_first_training_puts_nothing_back_and_succeeds(checkout, remote: Path):
    git, folder = checkout("monitor")
    state.take(git, folder, to_change=True)
    assert state.put(git, folder) is None
    assert not lock_is_held(remote)


def test_a_deleted_artifact_is_gone_from_the_store(filled, remote: Path, tmp_path: Path):
    git, folder = filled("second")
    state.take(git, folder, to_change=True)
    shutil.rmtree(folder / "mlruns/0/run1")
    state.put(git, folder)
    seen = store_on(remote, tmp_path / "seen")
    assert not (seen.parent / "mlruns").exists()


def test_a_folders_own_store_is_not_overwritten(filled):
    git, folder = filled("laptop")
    (folder / "mlflow.db").write_text("mine")
    with pytest.raises(InputError, match="exists and was not fetched from the remote"):
        state.take(git, folder, to_change=False)
    assert (folder / "mlflow.db").read_text() == "mine"


def test_a_remote_that_does_not_answer_is_an_error_and_not_a_first_run(
    filled, remote: Path, monkeypatch: pytest.MonkeyPatch
):
    git, folder = filled("offline")
    monkeypatch.setattr("ratchet.store.remote.ATTEMPTS", 1)
    remote.rename(remote.with_name("gone.git"))
    with pytest.raises(InputError, match="does not answer"):
        state.take(git, folder, to_change=True)
    assert not (folder / "mlflow.db").exists()


def test_a_file_that_github_would_refuse_is_not_pushed(filled, remote: Path, tmp_path: Path):
    git, folder = filled("huge")
    state.take(git, folder, to_change=True)
    with (folder / "mlruns/0/run1/artifacts/huge").open("wb") as file:
        file.truncate(101_000_000)
    with pytest.raises(InputError, match=r"Nothing was pushed.*huge has 101 MB"):
        state.put(git, folder)
    assert not lock_is_held(remote)
    assert runs(store_on(remote, tmp_path / "seen")) == ["run1"]


def test_artifacts_outside_the_folder_are_an_error_and_not_left_behind(filled, tmp_path: Path):
    git, folder = filled("outside")
    state.take(git, folder, to_change=True)
    other = tmp_path / "elsewhere"
    other.mkdir()
    shutil.copy(folder / "mlflow.db", other / "mlflow.db")
    add_version(other / "mlflow.db", 2)
    shutil.copy(other / "mlflow.db", folder / "mlflow.db")
    with pytest.raises(InputError, match="outside"):
        state.put(git, folder)


def test_the_token_reaches_git_by_environment_only(
    monkeypatch: pytest.MonkeyPatch,
):
    from ratchet.github.credentials import git_settings

    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    settings = git_settings("https://github.com/me/ratchet")
    assert "http.https://github.com/.extraheader" in settings.values()
    assert "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0" in settings.values()
    elsewhere = git_settings("https://example.org/me/ratchet")
    assert not [value for value in elsewhere.values() if "AUTHORIZATION" in value]


@pytest.mark.slow
def test_the_store_of_an_older_mlflow_is_upgraded(tmp_path: Path):
    """Create the last schema but one, as an older MLflow would, and upgrade it."""
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


@pytest.mark.slow
def test_an_unknown_action_is_refused_with_the_nearest_one(tmp_path: Path):
    done = run_step(tmp_path, "store", action="tak")
    assert done.returncode == 2
    assert done.stderr.strip() == "store: 'tak' is not an action: did you mean 'take'?"


@pytest.mark.slow
def test_the_git_ref_is_not_used_if_a_server_is_set(tmp_path: Path):
    done = run_step(tmp_path, "store", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, action="lock")
    assert done.returncode == 0
    assert "the git ref is not used" in done.stdout
