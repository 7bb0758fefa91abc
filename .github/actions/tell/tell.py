"""What GitHub is told: python3 tell.py comment|issue|pull-request.

Plain Python, so that a job which may write needs nothing installed. What it is given is text from
elsewhere: it is sent, never run.
"""

import json
import os
import sys
import urllib.request
from typing import Any

MARK = "<!-- ratchet: {} -->"
MOST_CHARACTERS = 65_000  # GitHub takes 65,536


def main() -> None:
    {"comment": comment, "issue": issue, "pull-request": pull_request}[sys.argv[1]]()


def comment() -> None:
    """One on the pull request, brought up to date by every push."""
    number, mark = int(given("NUMBER")), MARK.format("comment")
    body = {"body": marked(mark, given("BODY"))}
    for one in pages(f"issues/{number}/comments"):
        if one["body"].startswith(mark) and one["user"]["type"] == "Bot":
            call("PATCH", f"issues/comments/{one['id']}", body)
            return
    call("POST", f"issues/{number}/comments", body)


def issue() -> None:
    """One while it lasts: opened, brought up to date, closed; never a second one."""
    mark = MARK.format("drift")
    lasting = [
        one
        for one in pages("issues?state=open")
        if (one["body"] or "").startswith(mark) and "pull_request" not in one
    ]
    text = {"title": given("TITLE"), "body": marked(mark, given("BODY"))}
    if given("STATE") == "open":
        if lasting:
            call("PATCH", f"issues/{lasting[0]['number']}", text)
        else:
            call("POST", "issues", text)
        return
    for one in lasting:
        call("POST", f"issues/{one['number']}/comments", {"body": given("BODY")[:MOST_CHARACTERS]})
        call("PATCH", f"issues/{one['number']}", {"state": "closed", "state_reason": "completed"})


def pull_request() -> None:
    """One from this branch, brought up to date."""
    branch, owner = given("BRANCH"), os.environ["GITHUB_REPOSITORY"].split("/")[0]
    text = {"title": given("TITLE"), "body": given("BODY")[:MOST_CHARACTERS]}
    found = list(pages(f"pulls?state=open&head={owner}:{branch}"))
    if found:
        call("PATCH", f"pulls/{found[0]['number']}", text)
    else:
        call("POST", "pulls", text | {"head": branch, "base": os.environ["GITHUB_REF_NAME"]})


def marked(mark: str, body: str) -> str:
    return f"{mark}\n{body}"[:MOST_CHARACTERS]


def given(name: str) -> str:
    return os.environ[name]


def pages(path: str) -> Any:
    number = 1
    while True:
        separator = "&" if "?" in path else "?"
        page = call("GET", f"{path}{separator}per_page=100&page={number}")
        yield from page
        if len(page) < 100:
            return
        number += 1


def call(method: str, path: str, content: Any = None) -> Any:
    api, repository = os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"]
    request = urllib.request.Request(  # noqa: S310
        f"{api}/repos/{repository}/{path}",
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        text = answer.read()
    print(f"{method} {path}")
    return json.loads(text) if text else None


if __name__ == "__main__":
    main()
