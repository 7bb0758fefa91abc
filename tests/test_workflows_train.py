"""train.yml, run by act: from a fresh fork to two pushes at once."""

import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ratchet.store import lock, state
from ratchet.store.remote import store_remote
from tests.acting import ACT, MISSING, Acted, Fork, new_fork
from tests.github import GitHub, serving
from tests.projects import REPOSITORY, run
from tests.stores import lock_is_held, store_on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]

TRAIN = 'python -m steps.train --config "$CONFIG" --force "$FORCE"'
GATE = "python -m steps.evaluate"
STORE = "./.github/actions/store"


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> tuple[Fork, Acted]:
    """Return a fresh fork and the run of its first push."""
    fork = new_fork(tmp_path_factory.mktemp("first"), github)
    return fork, fork.act("push", "train", fork.checkout("tree"), job="mirror")


@pytest.fixture
def fork(first: tuple[Fork, Acted], tmp_path: Path, github: GitHub) -> Fork:
    """Return a fork with one version in production."""
    assert first[1].code == 0, first[1].output
    return first[0].copy(tmp_path / "fork", github)


def registry(fork: Fork) -> tuple[list[int], dict[str, int], int]:
    """Return the versions, the aliases and the number of ledger lines in the store."""
    folder = fork.folder / f"seen{time.monotonic_ns()}"
    with closing(sqlite3.connect(store_on(fork.remote, folder))) as connection:
        versions = connection.execute("SELECT version FROM model_versions ORDER BY version")
        aliases = connection.execute("SELECT alias, version FROM registered_model_aliases")
        lines = connection.execute(
            "SELECT count(*) FROM registered_model_tags WHERE key LIKE 'ledger.%'"
        )
        return [one for (one,) in versions], dict(aliases.fetchall()), lines.fetchone()[0]


def add_config(tree: Path, name: str) -> None:
    shutil.copy(REPOSITORY / "configs/models" / name, tree / "configs/models")


def commit(tree: Path, name: str) -> str:
    return run(["git", "rev-parse", name], tree).stdout.strip()


def pull_request(tree: Path, number: int, repository: str = "me/ratchet", title: str = "A") -> dict:
    head = {"ref": "proposal", "sha": commit(tree, "HEAD"), "repo": {"full_name": repository}}
    base = {"ref": "main", "sha": commit(tree, "origin/main")}
    return {"pull_request": {"number": number, "title": title, "head": head, "base": base}}


def test_a_first_push_on_a_fresh_fork_ends_with_a_model_in_production(first):
    fork, acted = first
    assert acted.code == 0, acted.output
    assert acted.jobs["train"] == "success"
    assert {"comment", "try"}.isdisjoint(acted.jobs)
    assert acted.outputs("train")["moved"] == "true"
    assert registry(fork) == ([1], {"prod": 1}, 1)
    assert not lock_is_held(fork.remote)


def test_the_summary_shows_the_candidates_the_pictures_and_the_verdict(first):
    fork, acted = first
    assert "v1 (baseline) is prod now: best of 1 by accuracy (0.8667)." in acted.summary
    address = "https://github.com/me/ratchet/tree/"
    link = re.search(rf"\[pictures of \w+\]\({address}(\w+)/(mlruns/0/[^)]+)\)", acted.summary)
    assert link is not None
    state = run(["git", "rev-parse", "refs/ratchet/store-1"], fork.remote).stdout.strip()
    assert link[1] == state
    seen = store_on(fork.remote, fork.folder / "pictures").parent
    assert (seen / link[2] / "confusion_matrix.png").exists()


def test_a_push_of_a_config_trains_that_config_and_moves_staging(fork: Fork):
    tree = fork.checkout("tree")
    add_config(tree, "neighbours.json")
    fork.push(tree, "A second model")
    acted = fork.act("push", "train", tree, job="train")
    assert acted.code == 0, acted.output
    outputs = acted.outputs("train")
    assert (outputs["trained"], outputs["versions"], outputs["moved"]) == ("1", "2", "true")
    assert "0.8667 (+0.0000)" in acted.summary
    assert registry(fork) == ([1, 2], {"prod": 1, "staging": 2}, 2)


def test_a_push_that_changes_no_model_moves_nothing_and_makes_up_for_a_missed_image(fork: Fork):
    """The first push set `prod`, but its job `package` did not run."""
    acted = fork.act("push", "train", fork.checkout("tree"))
    assert acted.code == 0, acted.output
    assert acted.outputs("train")["trained"] == "0"
    assert acted.outputs("train")["moved"] == "false"
    assert list(acted.jobs) == ["train", "package", "record"]
    assert registry(fork) == ([1], {"prod": 1}, 1)
    acted = fork.act("push", "train", fork.checkout("later"))
    assert acted.code == 0, acted.output
    assert list(acted.jobs) == ["train"]


def test_two_pushes_at_once_are_both_kept(fork: Fork):
    started = []
    for name in ("neighbours.json", "blend.yaml"):
        tree = fork.checkout(name)
        add_config(tree, name)
        started.append(fork.start("push", "train", tree, job="train"))
    outputs = [one.communicate()[0] for one in started]
    assert [one.returncode for one in started] == [0, 0], outputs
    versions, aliases, _ = registry(fork)
    assert versions == [1, 2, 3]
    assert aliases["prod"] == 1
    assert not lock_is_held(fork.remote)


def test_a_broken_config_fails_its_run_and_the_others_are_kept_and_packaged(fork: Fork):
    tree = fork.checkout("tree")
    add_config(tree, "neighbours.json")
    (tree / "configs/models/broken.yaml").write_text("estimator: os.system\n")
    acted = fork.act("push", "train", tree, job="package")
    assert acted.code != 0
    assert acted.steps("train")[TRAIN] == "failure"
    assert acted.steps("train")[GATE] == "success"
    assert acted.jobs == {"train": "failure", "package": "success", "record": "success"}
    assert registry(fork) == ([1, 2], {"prod": 1, "staging": 2}, 2)
    assert not lock_is_held(fork.remote)


def test_text_in_an_input_of_a_manual_run_is_an_argument_and_never_a_command(fork: Fork):
    witness = fork.folder / "witness"
    typed = f'"; touch {witness}; $(touch {witness}) `touch {witness}` #'
    tree = fork.checkout("tree")
    acted = fork.act(
        "workflow_dispatch", "train", tree, inputs={"config": typed, "force": "false"}, job="train"
    )
    assert acted.jobs == {"train": "failure"}
    assert not witness.exists()
    assert registry(fork) == ([1], {"prod": 1}, 1)
    assert not lock_is_held(fork.remote)


def test_a_manual_run_trains_an_unchanged_config_if_forced(fork: Fork):
    inputs = {"config": "configs/models/baseline.yaml", "force": "true"}
    acted = fork.act(
        "workflow_dispatch", "train", fork.checkout("tree"), inputs=inputs, job="train"
    )
    assert acted.code == 0, acted.output
    assert acted.outputs("train")["versions"] == "2"
    assert registry(fork)[0] == [1, 2]


def test_a_pull_request_is_trained_has_one_comment_and_leaves_the_store_alone(
    fork: Fork, github: GitHub
):
    github.comments.clear()
    before = registry(fork)
    tree = fork.checkout("tree")
    add_config(tree, "neighbours.json")
    fork.push(tree, "A proposal", "proposal")
    title = '"; exit 1; $(exit 1)'
    for _ in range(2):
        acted = fork.act("pull_request", "train", tree, pull_request(tree, 7, title=title))
        assert acted.code == 0, acted.output
        assert acted.jobs == {"try": "success", "comment": "success"}
    (comment,) = github.comments
    assert comment["number"] == 7
    assert comment["body"].startswith("<!-- ratchet: comment -->")
    assert "v2 (neighbours)" in comment["body"]
    assert "0.8667 (+0.0000)" in comment["body"]
    assert "every check passed" in comment["body"]
    assert registry(fork) == before
    assert not lock_is_held(fork.remote)


def test_a_pull_request_from_a_fork_is_trained_without_a_comment_or_a_secret(
    fork: Fork, github: GitHub
):
    github.comments.clear()
    tree = fork.checkout("tree")
    payload = pull_request(tree, 8, repository="stranger/ratchet")
    acted = fork.act("pull_request", "train", tree, payload)
    assert acted.code == 0, acted.output
    assert acted.jobs == {"try": "success"}
    assert "## Gate" in acted.summary
    assert github.comments == []


def test_the_lock_of_a_run_that_has_ended_is_broken(
    fork: Fork, github: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dead = fork.checkout("dead")
    monkeypatch.chdir(dead)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(fork.git_settings()))
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/ratchet")
    monkeypatch.setenv("GITHUB_RUN_ID", "41")
    lock.acquire(store_remote(dead))
    monkeypatch.setattr(github, "run_status", "completed")
    acted = fork.act("push", "train", fork.checkout("tree"), job="train")
    assert acted.code == 0, acted.output
    assert "/me/ratchet/actions/runs/41 has ended" in acted.output
    assert not lock_is_held(fork.remote)


def test_the_store_on_the_ref_is_not_changed_if_a_server_is_set(fork: Fork):
    secrets = {"MLFLOW_TRACKING_URI": f"sqlite:///{fork.folder}/team.db"}
    before = registry(fork)
    acted = fork.act("push", "train", fork.checkout("tree"), secrets=secrets, job="train")
    assert acted.code == 0, acted.output
    assert acted.outputs("train")["versions"] == "1"
    assert registry(fork) == before
    assert (fork.folder / "team.db").exists()


def test_the_first_version_in_production_is_a_tag_and_a_release(first, github: GitHub):
    (tag,) = [one for one in github.tags if one["tag"] == "prod/iris/v1"][:1]
    assert tag["object"] == commit(first[0].folder / "tree", "HEAD")
    assert "gate: best of 1 by accuracy (0.8667)" in tag["message"]
    assert '"config": "baseline"' in tag["message"]
    assert "prod/iris/v1" in [one["tag_name"] for one in github.releases]


def test_the_store_contains_no_token(first):
    fork, _ = first
    assert b"a-token" not in store_on(fork.remote, fork.folder / "tokens").read_bytes()
    assert state.STORE == "refs/ratchet/store"
