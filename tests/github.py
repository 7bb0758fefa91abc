"""A stand-in for GitHub on loopback. It remembers, and it refuses what GitHub refuses.

A refusal is (status, message). `permissions` are those of the job whose token is used; None stands
for a token that may do everything.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.projects import REPOSITORY, environment

Items = list[dict[str, Any]]

MAX_CHARACTERS = 65_536
PERMISSIONS = {  # the first match counts
    r"actions/.*": "actions",
    r"environments/.*": "actions",
    r"issues/(\d+/)?comments.*": "issues|pull-requests",
    r"issues.*": "issues",
    r"pulls.*|commits/.*/pulls": "pull-requests",
    r"git/.*|releases.*|": "contents",
}


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


@dataclass
class GitHub:
    address: str = ""
    permissions: Mapping[str, str] | None = None
    calls: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    comments: Items = field(default_factory=list)
    issues: Items = field(default_factory=list)
    pulls: Items = field(default_factory=list)
    releases: Items = field(default_factory=list)
    tags: Items = field(default_factory=list)
    refs: Items = field(default_factory=list)
    runs: Items = field(default_factory=list)
    workflows: Items = field(default_factory=list)
    environments: dict[str, Any] = field(default_factory=dict)
    has_issues: bool = True
    actions_may_open_pulls: bool = True
    other_workflow_files: set[str] = field(default_factory=set)  # commits; a tag on them is refused
    tip: str = "f" * 40
    run_status: str = "in_progress"
    workflow_state: str = "active"
    checks: list[str] = field(default_factory=list)  # times of the monitor's successful runs

    def answer(self, method: str, path: str, query: dict[str, str], content: Any) -> Any:
        self.calls.append(f"{method} {path}")
        resource = path.removeprefix("/repos/me/ratchet").removeprefix("/")
        self._require_permission(method, resource)
        if content and len(content.get("body") or "") > MAX_CHARACTERS:
            raise RefusedError(422, "body is too long (maximum is 65536 characters)")
        if resource == "":
            return {"default_branch": "main", "has_issues": self.has_issues}
        for pattern, function in (
            (r"actions/runs/(\d+)(?:/(cancel))?", self._run),
            (r"actions/workflows(?:/([\w.]+)(/runs)?)?", self._workflow),
            (r"commits/(\w+)/pulls", lambda *_: self.pulls),
            (r"environments/(\w+)", lambda *_: self.environments.get(resource.split("/")[1])),
            (r"git/(ref|matching-refs)/((?:tags|heads)/.*)", self._ref),
            (r"git/(tags|refs)", self._create_tag),
            (r"(issues|pulls)/(\d+)", self._change_one),
            (r"issues/(?:(\d+)/comments|comments/(\d+))", self._comment),
            (r"(issues|pulls|releases)", self._list),
        ):
            if match := re.fullmatch(pattern, resource):
                return function(match, method, query, content)
        raise RefusedError(404, "Not Found")

    def _require_permission(self, method: str, resource: str) -> None:
        if self.permissions is None:
            return
        names = next(name for key, name in PERMISSIONS.items() if re.fullmatch(key, resource))
        levels = {self.permissions.get(name) for name in names.split("|")}
        if "write" not in levels and (method != "GET" or "read" not in levels):
            raise RefusedError(403, "Resource not accessible by integration")

    def _run(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        if match[2]:
            (run,) = (run for run in self.runs if run["id"] == int(match[1]))
            run["status"] = "completed"
            return {}
        return {"id": int(match[1]), "status": self.run_status, "run_attempt": 1}

    def _workflow(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        if match[1] is None:
            return {"workflows": self.workflows}
        if not match[2]:
            return {"state": self.workflow_state}
        if match[1] == "monitor.yml":
            return {"workflow_runs": [{"run_started_at": one} for one in self.checks]}
        return {"workflow_runs": [r for r in self.runs if r["status"] == query["status"]]}

    def _ref(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        name = f"refs/{match[2]}"
        if name == "refs/heads/main":
            return {"ref": name, "object": {"sha": self.tip}}
        if match[1] == "matching-refs":
            return self._page([one for one in self.refs if one["ref"].startswith(name)], query)
        return next((one for one in self.refs if one["ref"] == name), None)

    def _create_tag(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        if match[1] == "tags":
            self.tags.append({"sha": f"{len(self.tags):040x}", **content})
            return self.tags[-1]
        commit = self.tags[int(content["sha"], 16)]["object"]
        if commit in self.other_workflow_files:
            raise RefusedError(403, "Resource not accessible by integration")
        if content["ref"] in [one["ref"] for one in self.refs]:
            raise RefusedError(422, "Reference already exists")
        self.refs.append({**content, "commit": commit})
        return self.refs[-1]

    def _comment(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        if match[2]:
            return self._change(self.comments, "id", int(match[2]), content)
        mine = [one for one in self.comments if one["number"] == int(match[1])]
        new = {"number": int(match[1]), "user": {"type": "Bot"}}
        return self._list_or_add(mine, self.comments, method, content, query, new)

    def _change_one(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        return self._change(getattr(self, match[1]), "number", int(match[2]), content)

    def _list(self, match: re.Match[str], method: str, query: Any, content: Any) -> Any:
        if match[1] == "issues" and not self.has_issues:
            raise RefusedError(410, "Issues are disabled for this repo")
        if match[1] == "pulls" and method == "POST" and not self.actions_may_open_pulls:
            message = "GitHub Actions is not permitted to create or approve pull requests."
            raise RefusedError(403, message)
        items = getattr(self, match[1])
        matching = [one for one in items if query.get("state") in (None, one.get("state"))]
        if head := query.get("head"):
            matching = [one for one in matching if one["head"] == head.split(":")[1]]
        new = {"number": len(items) + 1, "state": "open"}
        return self._list_or_add(matching, items, method, content, query, new)

    def _list_or_add(
        self, matching: Items, items: Items, method: str, content: Any, query: Any, new: Any
    ) -> Any:
        if method == "POST":
            items.append({"id": 100 + len(items), **new, **content})
            return items[-1]
        return self._page(matching, query)

    def _page(self, items: Items, query: Mapping[str, str]) -> Items:
        size = int(query.get("per_page", 30))
        start = (int(query.get("page", 1)) - 1) * size
        return items[start : start + size]

    def _change(self, items: Items, key: str, value: int, content: Any) -> Any:
        (one,) = (one for one in items if one[key] == value)
        one.update(content)
        return one


@contextmanager
def serving() -> Iterator[GitHub]:
    github = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            length = int(self.headers.get("Content-Length", 0))
            content = json.loads(self.rfile.read(length)) if length else None
            github.tokens.add(self.headers["Authorization"])
            try:
                answer = github.answer(self.command, address.path, query, content)
                status = 404 if answer is None else 200
            except RefusedError as refused:
                status, answer = refused.status, {"message": refused.message}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(
                json.dumps(answer or {"message": "Not Found"}).encode() if answer != [] else b"[]"
            )

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    github.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()


def start_module(
    github: GitHub, module: str, *arguments: str, folder: Any = REPOSITORY, **inputs: str
) -> subprocess.CompletedProcess[str]:
    """Run a module of ratchet/github as a workflow does."""
    env = environment(
        GITHUB_API_URL=github.address,
        GITHUB_REPOSITORY="me/ratchet",
        GITHUB_TOKEN="t",
        GITHUB_REF_NAME="main",
        **inputs,
    )
    command = [sys.executable, "-m", f"ratchet.github.{module}", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def run_module(github: GitHub, module: str, *arguments: str, **inputs: Any) -> str:
    done = start_module(github, module, *arguments, **inputs)
    assert done.returncode == 0, done.stderr
    return done.stdout
