"""A client of GitHub's REST interface for one repository."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PAGE = 100


class GitHubError(Exception):
    """An answer of GitHub that refuses a request."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"GitHub refused {method} {path}: {status}, {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub. `name` is "owner/repository". If the token is empty, none is sent."""

    api: str
    name: str
    token: str

    @staticmethod
    def from_environment(env: Mapping[str, str] = os.environ) -> "Repository":
        return Repository(env["GITHUB_API_URL"], env["GITHUB_REPOSITORY"], env["GITHUB_TOKEN"])

    @property
    def owner(self) -> str:
        return self.name.split("/")[0]

    def get(self, path: str = "") -> Any:
        """Return the resource, or None if GitHub answers 404."""
        try:
            return self.request("GET", path)
        except GitHubError as error:
            if error.status == 404:
                return None
            raise

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page."""
        separator = "&" if "?" in path else "?"
        number, size = 1, PAGE
        while size == PAGE:
            page = self.request("GET", f"{path}{separator}per_page={PAGE}&page={number}")
            yield from page
            number, size = number + 1, len(page)

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        return self.request("POST", path, content)

    def patch(self, path: str, content: Mapping[str, Any]) -> Any:
        return self.request("PATCH", path, content)

    def request(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.api}/repos/{self.name}/{path}".rstrip("/"),
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise GitHubError(method, path, error.code, _message(error)) from None
        return json.loads(text) if text else None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def append_summary(text: str) -> None:
    """Append Markdown to the job summary, or print it outside GitHub Actions."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path is None:
        print(text)
        return
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{text}\n")
