"""ci.yml, run by act: what it checks and the Bento. Its tests are these, and run as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, new_fork
from tests.github import GitHub, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def test_a_push_is_checked_on_a_machine_that_has_nothing(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    acted = fork.act("push", "ci", fork.checkout("tree"), job="check")
    assert acted.code == 0, acted.output
    assert acted.jobs == {"check": "success"}
    assert acted.steps("check")["make check"] == "success"
    assert "actionlint is missing" not in acted.output


def test_code_that_is_not_formatted_fails_the_check(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    (tree / "ratchet" / "untidy.py").write_text("x  =  1\n")
    fork.push(tree, "In a hurry")
    acted = fork.act("push", "ci", tree, job="check")
    assert acted.jobs == {"check": "failure"}


def test_a_bento_of_a_fresh_model_is_asked(tmp_path: Path, github: GitHub):
    fork = new_fork(tmp_path, github)
    acted = fork.act("push", "ci", fork.checkout("tree"), job="bento")
    assert acted.code == 0, acted.output
    assert acted.steps("bento")["make bento"] == "success"
