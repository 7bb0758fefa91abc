"""The set-up checklist and the approvals, on a stand-in for GitHub."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import workflow
from tests.github import GitHub, run_module, serving
from tests.projects import free_port


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def missing(github: GitHub, folder: Path, **inputs: str) -> list[str]:
    github.permissions = workflow("doctor")["jobs"]["doctor"]["permissions"]
    files = {name: str(folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    run_module(github, "doctor", **files, **{"VARIABLES": "", **inputs})
    return json.loads((folder / "GITHUB_OUTPUT").read_text().removeprefix("missing="))


def activate(github: GitHub, *names: str) -> None:
    github.workflows = [
        {"path": f".github/workflows/{name}.yml", "state": "active"} for name in names
    ]


def test_the_doctor_lists_everything_that_a_fresh_fork_lacks(github: GitHub, tmp_path: Path):
    github.has_issues = False
    activate(github, "ci", "train")
    assert missing(github, tmp_path) == [
        "schedule of `monitor`",
        "schedule of `promote`",
        "schedule of `maintenance`",
        "issues",
        "prediction log",
    ]
    summary = (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert "drift is not checked" in summary
    assert "Settings, General, Features" in summary


def test_a_complete_set_up_misses_nothing(github: GitHub, tmp_path: Path):
    activate(github, "monitor", "promote", "maintenance")
    github.environments = {"production": {"protection_rules": [{"type": "required_reviewers"}]}}
    names = {"SECRETS": "RATCHET_LOG_URL", "VARIABLES": "RATCHET_STORE RATCHET_LOG"}
    log = {"RATCHET_LOG_URL": f"{github.address}/log.csv"}
    assert missing(github, tmp_path, **names, **log) == []
    assert (
        "| required reviewers of `production` | ok |"
        in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    )


def test_a_log_that_does_not_answer_is_missing(github: GitHub, tmp_path: Path):
    activate(github, "monitor", "promote", "maintenance")
    log = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/log"
    names = {"SECRETS": "RATCHET_LOG_URL", "VARIABLES": "RATCHET_LOG"}
    assert missing(github, tmp_path, **names, RATCHET_LOG_URL=log) == ["prediction log"]
    assert "hunter2" not in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()


def test_only_the_newest_run_waits_for_a_reviewer(github: GitHub):
    github.permissions = workflow("promote")["jobs"]["look"]["permissions"]
    github.runs = [{"id": number, "status": "waiting"} for number in (5, 6, 7, 9)]
    github.runs.append({"id": 4, "status": "in_progress"})
    run_module(github, "approvals", GITHUB_RUN_ID="7")
    status = {run["id"]: run["status"] for run in github.runs}
    assert status == {5: "completed", 6: "completed", 7: "waiting", 9: "waiting", 4: "in_progress"}
