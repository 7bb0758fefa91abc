"""Tags and releases from the ledger, on a stand-in that refuses what GitHub refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import workflow
from tests.github import GitHub, run_module, serving, start_module

FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        started.permissions = workflow("promote")["jobs"]["mirror"]["permissions"]
        yield started


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Create the report of `history` with two versions that were in production."""
    tags = [
        {
            "name": f"prod/iris/v{number}",
            "commit": commit,
            "title": f"iris v{number}",
            "body": f"Trained from commit {commit}",
        }
        for number, commit in ((1, FIRST), (2, SECOND))
    ]
    (tmp_path / "reports" / "history").mkdir(parents=True)
    (tmp_path / "reports" / "history" / "history.json").write_text(json.dumps({"tags": tags}))
    return tmp_path


def tagged(github: GitHub) -> dict[str, str]:
    return {one["ref"].removeprefix("refs/tags/"): one["commit"] for one in github.refs}


def test_every_version_in_production_has_a_tag_and_a_release(github: GitHub, history: Path):
    for _ in range(2):
        run_module(github, "mirror", folder=history)
    assert tagged(github) == {"prod/iris/v1": FIRST, "prod/iris/v2": SECOND}
    assert [one["tag_name"] for one in github.releases] == ["prod/iris/v1", "prod/iris/v2"]


def test_a_refused_tag_goes_to_the_tip_of_main_and_names_the_trained_commit(
    github: GitHub, history: Path
):
    github.other_workflow_files = {FIRST}
    run_module(github, "mirror", folder=history)
    assert tagged(github) == {"prod/iris/v1": github.tip, "prod/iris/v2": SECOND}
    tag = next(one for one in github.tags if one["object"] == github.tip)
    assert f"Trained from commit {FIRST}" in tag["message"]


def test_a_tag_that_is_refused_everywhere_does_not_stop_the_next_one(github: GitHub, history: Path):
    github.other_workflow_files = {FIRST, github.tip}
    done = start_module(github, "mirror", folder=history)
    assert done.returncode == 1
    assert done.stderr.startswith("prod/iris/v1: GitHub refused POST git/refs: 403")
    assert tagged(github) == {"prod/iris/v2": SECOND}
    assert [one["tag_name"] for one in github.releases] == ["prod/iris/v2"]
