"""Changed files as a commit on a branch of their own: real git."""

from pathlib import Path

import pytest

from tests.github import GitHub, run_module
from tests.projects import run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Create a clone with two files."""
    run(["git", "init", "--quiet", "--bare", "remote.git"], tmp_path)
    run(["git", "clone", "--quiet", "remote.git", "tree"], tmp_path)
    tree = tmp_path / "tree"
    for name in ("requirements.txt", "other.txt"):
        (tree / name).write_text("a\n")
    who = ["-c", "user.name=a", "-c", "user.email=b"]
    for command in (["add", "."], [*who, "commit", "-qm", "c"], ["push", "-q", "origin", "HEAD"]):
        assert run(["git", *command], tree).returncode == 0
    return tree


def propose(tree: Path) -> str:
    output = tree.parent / "output"
    output.unlink(missing_ok=True)
    inputs = {"BRANCH": "ratchet/locks", "FILES": "*requirements*.txt", "MESSAGE": "New"}
    files = {"GITHUB_OUTPUT": str(output), "GITHUB_SERVER_URL": "https://github.com"}
    run_module(GitHub(), "proposal", folder=tree, **inputs, **files)
    return output.read_text()


def test_changed_files_become_one_commit_on_the_branch(tree: Path):
    for name in ("requirements.txt", "other.txt"):
        (tree / name).write_text("b\n")
    assert propose(tree) == "proposed=true\n"
    show = ["git", "show", "--name-only", "--format=%s", "ratchet/locks"]
    assert run(show, tree.parent / "remote.git").stdout.split() == ["New", "requirements.txt"]


def test_unchanged_files_are_not_proposed(tree: Path):
    assert propose(tree) == "proposed=false\n"
    assert run(["git", "branch", "--list", "ratchet/*"], tree.parent / "remote.git").stdout == ""
