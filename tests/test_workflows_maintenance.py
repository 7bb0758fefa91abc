"""maintenance.yml, run by act. Stand-ins for `make audit` and `make lock`, which need a network."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, new_fork
from tests.github import GitHub, serving
from tests.projects import run
from tests.stores import lock_is_held

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]
RECIPES = {"audit": "false", "lock": "echo '# newer' >> requirements.txt"}


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def replace_recipes(makefile: Path) -> None:
    text = makefile.read_text()
    for target, command in RECIPES.items():
        recipe = re.compile(rf"^{target}:.*?\n\n", re.M | re.S)
        text, replaced = recipe.subn(f"{target}:\n\t{command}\n\n", text)
        assert replaced == 1
    makefile.write_text(text)


def test_a_vulnerable_lock_opens_an_issue_and_newer_locks_are_proposed(
    tmp_path: Path, github: GitHub
):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    replace_recipes(tree / "Makefile")
    fork.push(tree, "Recipes that need no network")
    acted = fork.act("schedule", "maintenance", tree)
    assert acted.jobs == {"maintain": "success", "notify": "success"}, acted.output
    assert acted.steps("maintain")["python -m steps.store --action prune"] == "success"
    assert acted.outputs("maintain")["proposed"] == "true"
    (issue,) = github.issues
    assert issue["state"] == "open"
    assert issue["title"] == "The locks contain releases with known vulnerabilities"
    (pull,) = github.pulls
    assert (pull["head"], pull["base"]) == ("ratchet/locks", "main")
    difference = run(["git", "diff", "--stat", "main", "ratchet/locks"], fork.remote).stdout
    assert "requirements.txt | 1 +" in difference
    assert "1 file changed" in difference
    assert not lock_is_held(fork.remote)
