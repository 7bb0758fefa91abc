"""Comments, issues, pull requests and warnings, sent to a stand-in for GitHub."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acting import workflow
from tests.github import GitHub, run_module, serving


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def send(github: GitHub, kind: str, **inputs: str) -> None:
    run_module(github, "notices", kind, **inputs)


def test_a_pull_request_has_one_comment_that_is_updated(github: GitHub):
    send(github, "comment", NUMBER="7", BODY="first")
    send(github, "comment", NUMBER="7", BODY="second")
    (comment,) = github.comments
    assert comment["body"] == "<!-- ratchet: comment -->\nsecond"
    assert github.tokens == {"Bearer t"}


def test_a_comment_of_a_person_that_looks_like_ours_is_left_alone(github: GitHub):
    mark = "<!-- ratchet: comment -->"
    github.comments.append({"id": 1, "number": 7, "user": {"type": "User"}, "body": mark})
    send(github, "comment", NUMBER="7", BODY="ours")
    assert [one["body"] for one in github.comments] == [mark, f"{mark}\nours"]


def test_the_comment_is_found_behind_a_hundred_others(github: GitHub):
    for number in range(150):
        user = {"type": "User"}
        github.comments.append({"id": number, "number": 7, "user": user, "body": "a word"})
    send(github, "comment", NUMBER="7", BODY="first")
    send(github, "comment", NUMBER="7", BODY="second")
    assert len(github.comments) == 151


def test_a_drift_episode_is_one_issue_until_it_is_over(github: GitHub):
    title = {"TITLE": "The data drifted"}
    send(github, "issue", STATE="open", BODY="PSI 0.4", **title)
    send(github, "issue", STATE="open", BODY="PSI 0.5", **title)
    (issue,) = github.issues
    assert (issue["state"], issue["body"]) == ("open", "<!-- ratchet: drift -->\nPSI 0.5")
    send(github, "issue", STATE="closed", BODY="stable", **title)
    assert issue["state"] == "closed"
    assert [one["body"] for one in github.comments] == ["stable"]
    send(github, "issue", STATE="open", BODY="again", **title)
    assert [one["state"] for one in github.issues] == ["closed", "open"]


def test_nothing_is_sent_if_there_is_no_drift_and_no_issue(github: GitHub):
    send(github, "issue", STATE="closed", BODY="stable", TITLE="The data drifted")
    assert github.issues == []
    assert github.comments == []


def test_a_config_of_automl_becomes_one_pull_request(github: GitHub):
    for body in ("first", "second"):
        send(github, "pull-request", BRANCH="ratchet/automl", TITLE="A config", BODY=body)
    (pull,) = github.pulls
    assert (pull["head"], pull["base"], pull["body"]) == ("ratchet/automl", "main", "second")


def test_a_text_that_is_too_long_for_github_is_cut(github: GitHub):
    send(github, "comment", NUMBER="7", BODY="x" * 100_000)
    assert len(github.comments[0]["body"]) == 65_000


def test_the_summary_says_when_drift_was_last_checked(github: GitHub, tmp_path: Path):
    github.checks = [(datetime.now(UTC) - timedelta(days=9)).isoformat()]
    output = run_module(github, "schedules", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert "9 days ago." in (tmp_path / "summary").read_text()
    assert "::warning title=Drift is not checked::Drift was last checked on " in output


def test_a_schedule_that_github_disabled_is_a_warning(github: GitHub, tmp_path: Path):
    github.workflow_state = "disabled_inactivity"
    output = run_module(github, "schedules", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert "The workflow monitor is disabled_inactivity. Enable it under Actions" in output


def test_an_idle_repository_is_warned_before_its_schedule_stops(github: GitHub, tmp_path: Path):
    then = (datetime.now(UTC) - timedelta(days=50)).isoformat()
    who = ["-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(
        ["git", *who, "commit", "--quiet", "--allow-empty", "--message=old"],
        cwd=tmp_path,
        env=os.environ | {"GIT_COMMITTER_DATE": then},
        check=True,
    )
    inputs = {"GIT_DIR": str(tmp_path / ".git"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    output = run_module(github, "schedules", **inputs)
    assert "The last commit is 50 days old. GitHub disables the schedules of a public" in output


def test_the_message_is_in_the_summary_and_the_job_is_green_if_issues_are_off(
    github: GitHub, tmp_path: Path
):
    github.has_issues = False
    summary = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    send(github, "issue", STATE="open", BODY="PSI 0.4", TITLE="The data drifted", **summary)
    assert "Issues are turned off in this repository" in (tmp_path / "summary").read_text()
    assert "PSI 0.4" in (tmp_path / "summary").read_text()


def test_a_pull_request_that_actions_may_not_open_is_explained(github: GitHub, tmp_path: Path):
    github.actions_may_open_pulls = False
    inputs = {"BRANCH": "ratchet/automl", "TITLE": "A config", "BODY": "first"}
    send(github, "pull-request", **inputs, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert "GitHub Actions may not open pull requests" in (tmp_path / "summary").read_text()
    assert github.pulls == []


def test_each_topic_has_an_issue_of_its_own(github: GitHub):
    send(github, "issue", STATE="open", BODY="PSI 0.4", TITLE="The data drifted")
    send(github, "issue", STATE="open", BODY="CVE", TITLE="Vulnerabilities", TOPIC="audit")
    assert [one["title"] for one in github.issues] == ["The data drifted", "Vulnerabilities"]


@pytest.mark.parametrize(
    ("name", "job", "kinds"),
    [("train", "comment", ["comment"]), ("monitor", "notify", ["issue", "pull-request"])],
)
def test_the_permissions_of_the_job_are_enough(
    github: GitHub, name: str, job: str, kinds: list[str]
):
    github.permissions = workflow(name)["jobs"][job]["permissions"]
    inputs = {"NUMBER": "7", "STATE": "open", "TITLE": "t", "BODY": "b", "BRANCH": "ratchet/automl"}
    for kind in kinds:
        send(github, kind, **inputs)
    assert len(github.comments + github.issues + github.pulls) == len(kinds)
