"""A comment, an issue or a pull request that is created once and then updated.

python3 -m ratchet.github.notices comment|issue|pull-request

The arguments are environment variables, because they contain text of other people, such as the
title of a pull request. This text is sent to GitHub, and no shell reads it.
"""

import os
import sys
from collections.abc import Iterable
from typing import Any

from ratchet.github.client import GitHubError, Repository, append_summary

MARK = "<!-- ratchet: {} -->"
MAX_CHARACTERS = 65_000  # GitHub accepts 65,536


def main() -> None:
    actions = {"comment": comment, "issue": issue, "pull-request": pull_request}
    actions[sys.argv[1]](Repository.from_environment())


def comment(repository: Repository) -> None:
    """Create Ratchet's comment on the pull request NUMBER, or update it."""
    number, mark = int(os.environ["NUMBER"]), MARK.format("comment")
    text = {"body": marked(mark, os.environ["BODY"])}
    for one in repository.pages(f"issues/{number}/comments"):
        if one["body"].startswith(mark) and one["user"]["type"] == "Bot":
            repository.patch(f"issues/comments/{one['id']}", text)
            return
    repository.post(f"issues/{number}/comments", text)


def issue(repository: Repository) -> None:
    """Open or update the issue about TOPIC if STATE is open, otherwise close it with a comment."""
    mark = MARK.format(os.environ.get("TOPIC") or "drift")
    body = os.environ["BODY"]
    text = {"title": os.environ["TITLE"], "body": marked(mark, body)}
    try:
        numbers = _open_issues(repository.pages("issues?state=open"), mark)
        if os.environ["STATE"] == "open":
            if numbers:
                repository.patch(f"issues/{numbers[0]}", text)
            else:
                repository.post("issues", text)
            return
        for number in numbers:
            repository.post(f"issues/{number}/comments", {"body": body[:MAX_CHARACTERS]})
            closed = {"state": "closed", "state_reason": "completed"}
            repository.patch(f"issues/{number}", closed)
    except GitHubError as error:
        if error.status != 410:
            raise
        append_summary(
            "Issues are turned off in this repository, so no issue was opened or closed. Turn them"
            " on under Settings, General, Features.\n\n" + body
        )


def _open_issues(issues: Iterable[dict[str, Any]], mark: str) -> list[int]:
    return [
        one["number"]
        for one in issues
        if (one["body"] or "").startswith(mark) and "pull_request" not in one
    ]


def pull_request(repository: Repository) -> None:
    """Open the pull request for BRANCH, or update it."""
    branch, base = os.environ["BRANCH"], os.environ["GITHUB_REF_NAME"]
    text = {"title": os.environ["TITLE"], "body": os.environ["BODY"][:MAX_CHARACTERS]}
    open_ones = list(repository.pages(f"pulls?state=open&head={repository.owner}:{branch}"))
    if open_ones:
        repository.patch(f"pulls/{open_ones[0]['number']}", text)
        return
    try:
        repository.post("pulls", text | {"head": branch, "base": base})
    except GitHubError as error:
        if error.status != 403:
            raise
        append_summary(
            f"The branch `{branch}` is pushed, but GitHub Actions may not open pull requests here."
            " Open it yourself, or allow it under Settings, Actions, General, Workflow"
            " permissions."
        )


def marked(mark: str, body: str) -> str:
    return f"{mark}\n{body}"[:MAX_CHARACTERS]


if __name__ == "__main__":
    main()
