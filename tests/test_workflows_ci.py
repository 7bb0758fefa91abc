"""ci.yml, run by act: its checks and the Bento. It runs only a few doctests as tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, new_fork
from tests.github import GitHub, serving
from tests.projects import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def test_a_change_of_code_is_checked_tested_and_packed_on_a_fresh_machine(
    tmp_path: Path, github: GitHub
):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    (tree / "tests" / "addition.py").write_text('"""A module that no lock knows of."""\n')
    fork.push(tree, "An addition")
    acted = fork.act("push", "ci", tree, TESTS="ratchet/errors.py")
    assert acted.code == 0, acted.output
    assert acted.jobs == {"green": "success"}
    steps = acted.steps("green")
    assert steps["make check"] == steps["make test"] == steps["make bento"] == "success"
    assert "actionlint is missing" not in acted.output


def test_code_that_is_not_formatted_fails_the_check(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    (tree / "ratchet" / "untidy.py").write_text("x  =  1\n")
    fork.push(tree, "In a hurry")
    acted = fork.act("push", "ci", tree)
    assert acted.jobs == {"green": "failure"}
    assert acted.steps("green")["make check"] == "failure"


def test_a_pull_request_that_changes_a_config_is_checked_only(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    shutil.copy(REPOSITORY / "configs/models/neighbours.json", tree / "configs/models")
    fork.push(tree, "A proposal", "proposal")
    acted = fork.act("pull_request", "ci", tree)
    assert acted.code == 0, acted.output
    assert acted.steps("green")["make check"] == "success"
    assert "make test" not in acted.steps("green")
