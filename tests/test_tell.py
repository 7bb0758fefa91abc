"""What GitHub is told, over HTTP to a GitHub that remembers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.github import GitHub, serving
from tests.projects import REPOSITORY, environment

ACTIONS = REPOSITORY / ".github" / "actions"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def tell(github: GitHub, what: str, **given: str) -> None:
    run(github, "tell/tell.py", what, **given)


def run(github: GitHub, script: str, *arguments: str, **given: str) -> str:
    env = environment(
        GITHUB_API_URL=github.address, GITHUB_REPOSITORY="me/ratchet", GITHUB_TOKEN="t",
        GITHUB_REF_NAME="main", **given,
    )  # fmt: skip
    command = [sys.executable, str(ACTIONS / script), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pull_request_has_one_comment_that_is_brought_up_to_date(github: GitHub):
    tell(github, "comment", NUMBER="7", BODY="first")
    tell(github, "comment", NUMBER="7", BODY="second")
    (comment,) = github.comments
    assert comment["body"] == "<!-- ratchet: comment -->\nsecond"
    assert github.tokens == {"Bearer t"}


def test_a_comment_of_a_person_that_looks_like_ours_is_left_alone(github: GitHub):
    mark = "<!-- ratchet: comment -->"
    github.comments.append({"id": 1, "number": 7, "user": {"type": "User"}, "body": mark})
    tell(github, "comment", NUMBER="7", BODY="ours")
    assert [one["body"] for one in github.comments] == [mark, f"{mark}\nours"]


def test_the_comment_is_found_behind_a_hundred_others(github: GitHub):
    for number in range(150):
        user = {"type": "User"}
        github.comments.append({"id": number, "number": 7, "user": user, "body": "a word"})
    tell(github, "comment", NUMBER="7", BODY="first")
    tell(github, "comment", NUMBER="7", BODY="second")
    assert len(github.comments) == 151


def test_a_drift_episode_is_one_issue_until_it_is_over(github: GitHub):
    words = {"TITLE": "The data drifted"}
    tell(github, "issue", STATE="open", BODY="PSI 0.4", **words)
    tell(github, "issue", STATE="open", BODY="PSI 0.5", **words)
    (issue,) = github.issues
    assert (issue["state"], issue["body"]) == ("open", "<!-- ratchet: drift -->\nPSI 0.5")
    tell(github, "issue", STATE="closed", BODY="stable", **words)
    assert issue["state"] == "closed"
    assert [one["body"] for one in github.comments] == ["stable"]
    tell(github, "issue", STATE="open", BODY="again", **words)
    assert [one["state"] for one in github.issues] == ["closed", "open"]


def test_no_drift_and_no_issue_is_nothing_to_tell(github: GitHub):
    tell(github, "issue", STATE="closed", BODY="stable", TITLE="The data drifted")
    assert github.issues == []
    assert github.comments == []


def test_a_found_config_is_one_pull_request(github: GitHub):
    for body in ("first", "second"):
        tell(github, "pull-request", BRANCH="ratchet/automl", TITLE="A config", BODY=body)
    (pull,) = github.pulls
    assert (pull["head"], pull["base"], pull["body"]) == ("ratchet/automl", "main", "second")


def test_what_is_too_long_for_github_is_cut(github: GitHub):
    tell(github, "comment", NUMBER="7", BODY="x" * 100_000)
    assert len(github.comments[0]["body"]) == 65_000


def test_the_summary_says_when_drift_was_last_looked_at(github: GitHub, tmp_path: Path):
    github.looked = [(datetime.now(UTC) - timedelta(days=9)).isoformat()]
    said = run(github, "watch/watch.py", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert "9 days ago." in (tmp_path / "summary").read_text()
    assert "::warning title=Drift is not watched::Drift was last looked at on " in said


def test_a_schedule_that_github_stopped_is_a_warning(github: GitHub, tmp_path: Path):
    github.workflow_state = "disabled_inactivity"
    said = run(github, "watch/watch.py", GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert "The workflow monitor is disabled_inactivity; enable it under Actions" in said


def test_an_idle_repository_is_warned_before_its_schedule_stops(github: GitHub, tmp_path: Path):
    then = (datetime.now(UTC) - timedelta(days=50)).isoformat()
    who = ["-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(
        ["git", *who, "commit", "--quiet", "--allow-empty", "--message=old"], cwd=tmp_path,
        env=os.environ | {"GIT_COMMITTER_DATE": then}, check=True,
    )  # fmt: skip
    given = {"GIT_DIR": str(tmp_path / ".git"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    said = run(github, "watch/watch.py", **given)
    assert "The last commit is 50 days old; GitHub stops a public repository's schedules" in said
