"""promote.yml, run by act: by schedule and by hand."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.acting import ACT, MISSING, Acted, Fork, new_fork
from tests.github import GitHub, serving
from tests.projects import REPOSITORY
from tests.stores import lock_is_held, store_on

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> Fork:
    """Return a fork in which v1 is prod and v2 is staging."""
    fork = new_fork(tmp_path_factory.mktemp("tested"), github)
    tree = fork.checkout("tree")
    assert fork.act("push", "train", tree, job="train").code == 0
    shutil.copy(REPOSITORY / "configs/models/neighbours.json", tree / "configs/models")
    fork.push(tree, "A second model")
    assert fork.act("push", "train", tree, job="train").code == 0
    return fork


@pytest.fixture
def fork(tested: Fork, tmp_path: Path, github: GitHub) -> Fork:
    return tested.copy(tmp_path / "fork", github)


def aliases(fork: Fork) -> dict[str, int]:
    seen = store_on(fork.remote, fork.folder / f"seen{time.monotonic_ns()}")
    with closing(sqlite3.connect(seen)) as connection:
        rows = connection.execute("SELECT alias, version FROM registered_model_aliases")
        return {alias: int(version) for alias, version in rows}


def log(folder: Path, users: int, staging_right: float = 0.99) -> Path:
    """Write a log like a service's log.csv: `prod` is right in 6 of 10 requests."""
    rng = np.random.default_rng(7)
    arm = rng.choice(["A", "B"], users)
    right = rng.random(users) < np.where(arm == "A", 0.6, staging_right)
    start = datetime.now(UTC) - timedelta(minutes=1)
    moments = pd.date_range(datetime.now(UTC), start + timedelta(minutes=30), users)
    table = pd.DataFrame({"request_id": [f"r{n}" for n in range(users)], "timestamp": moments})
    table["user_id"] = [f"u{n}" for n in range(users)]
    table["variant"], table["model_version"] = arm, np.where(arm == "A", "1", "2")
    table["split"] = 0.5
    table["prediction"], table["label"] = "setosa", np.where(right, "setosa", "virginica")
    table.to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def push_button(fork: Fork, action: str, reason: str = "", dry_run: str = "false") -> Acted:
    inputs = {"action": action, "reason": reason, "dry_run": dry_run}
    return fork.act(
        "workflow_dispatch",
        "promote",
        fork.checkout(f"tree{time.monotonic_ns()}"),
        inputs=inputs,
        job="mirror",
    )


SCHEDULE = {"schedule": "41 */6 * * *"}


def test_a_schedule_without_a_log_starts_no_job(fork: Fork):
    acted = fork.act("schedule", "promote", fork.checkout("tree"), SCHEDULE)
    assert acted.code == 0, acted.output
    assert acted.jobs == {}
    assert aliases(fork) == {"prod": 1, "staging": 2}


def test_the_schedule_promotes_on_evidence_and_tags_the_version(fork: Fork, github: GitHub):
    variables = {"RATCHET_LOG": str(log(fork.folder, 1500))}
    tree = fork.checkout("tree")
    acted = fork.act("schedule", "promote", tree, SCHEDULE, variables=variables, job="mirror")
    assert acted.code == 0, acted.output
    assert acted.jobs == {"look": "success", "move": "success", "mirror": "success"}
    assert acted.outputs("look")["decision"] == "promote"
    assert acted.outputs("move")["promoted"] == "true"
    assert aliases(fork) == {"prod": 2, "previous": 1}
    assert "prod/iris/v2" in [one["tag"] for one in github.tags]
    assert not lock_is_held(fork.remote)


def test_too_few_labels_continue_the_test_and_open_no_move(fork: Fork):
    variables = {"RATCHET_LOG": str(log(fork.folder, 60))}
    acted = fork.act("schedule", "promote", fork.checkout("tree"), SCHEDULE, variables=variables)
    assert acted.code == 0, acted.output
    # No move. The versions have no image yet, so this run makes up for it.
    assert acted.jobs == {"look": "success", "package": "success", "record": "success"}
    assert acted.outputs("look")["decision"] == "keep_testing"
    assert aliases(fork) == {"prod": 1, "staging": 2}


def test_a_dry_run_decides_and_moves_nothing(fork: Fork):
    acted = push_button(fork, "promote", "it is time", dry_run="true")
    assert acted.code == 0, acted.output
    assert acted.jobs == {"look": "success"}
    assert aliases(fork) == {"prod": 1, "staging": 2}


def test_a_promotion_by_hand_is_rolled_back_by_one_manual_run(fork: Fork, github: GitHub):
    acted = push_button(fork, "promote", '"; exit 1; $(exit 1)')
    assert acted.code == 0, acted.output
    assert aliases(fork) == {"prod": 2, "previous": 1}
    acted = push_button(fork, "rollback", "it answers nonsense")
    assert acted.code == 0, acted.output
    assert acted.outputs("move")["decision"] == "rollback"
    assert aliases(fork)["prod"] == 1
    assert "prod/iris/v1-2" in [one["tag"] for one in github.tags]


def test_reject_by_hand_leaves_prod(fork: Fork):
    acted = push_button(fork, "reject", "too slow")
    assert acted.code == 0, acted.output
    assert aliases(fork) == {"prod": 1}


def test_a_decision_by_hand_without_a_reason_fails_and_moves_nothing(fork: Fork):
    acted = push_button(fork, "promote")
    assert acted.jobs == {"look": "failure"}
    assert "needs a reason" in acted.output
    assert aliases(fork) == {"prod": 1, "staging": 2}
    assert not lock_is_held(fork.remote)
