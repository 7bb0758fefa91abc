"""The decision which parts of CI a change needs: real git, and a stand-in for GitHub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import workflow
from tests.github import GitHub, run_module, serving
from tests.projects import run


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        started.permissions = workflow("ci")["jobs"]["green"]["permissions"]
        yield started


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    run(["git", "init", "--quiet"], tmp_path)
    commit(tmp_path, "README.md")
    return tmp_path


def commit(tree: Path, *files: str) -> None:
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("x")
    run(["git", "add", "--all"], tree)
    who = ["-c", "user.name=a", "-c", "user.email=b"]
    assert run(["git", *who, "commit", "--quiet", "--message=c"], tree).returncode == 0


def outputs(github: GitHub, tree: Path, event: str) -> str:
    file = tree.parent / f"{tree.name}-outputs"
    inputs = {"GITHUB_EVENT_NAME": event, "GITHUB_SHA": "a" * 40, "GITHUB_OUTPUT": str(file)}
    run_module(github, "changes", folder=tree, **inputs)
    return file.read_text()


@pytest.mark.parametrize(
    ("files", "code", "locks"),
    [
        (["configs/models/new.yaml", "docs/page.md"], "false", "false"),
        (["configs/models/new.yaml", "ratchet/entry.py"], "true", "false"),
        (["requirements.txt"], "true", "true"),
    ],
)
def test_a_pull_request_is_tested_if_it_changes_code(
    github: GitHub, tree: Path, files: list[str], code: str, locks: str
):
    commit(tree, *files)
    assert outputs(github, tree, "pull_request") == f"code={code}\nlocks={locks}\n"


def test_a_push_is_tested_unless_it_merges_a_pull_request(github: GitHub, tree: Path):
    commit(tree, "ratchet/entry.py")
    assert outputs(github, tree, "push").startswith("code=true")
    github.pulls.append({"merge_commit_sha": "a" * 40, "state": "closed"})
    assert outputs(github, tree, "push").endswith("code=false\nlocks=false\n")
