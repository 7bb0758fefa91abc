"""As much of GitHub's interface as the workflows speak to, on loopback, with a memory."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Items = list[dict[str, Any]]


class GitHub:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.tokens: set[str] = set()
        self.comments: Items = []
        self.issues: Items = []
        self.pulls: Items = []
        self.releases: Items = []
        self.tags: Items = []
        self.refs: Items = []
        self.run_status = "in_progress"
        self.workflow_state = "active"
        self.looked: list[str] = []
        self.address = ""

    def answer(self, method: str, path: str, query: dict[str, str], content: Any) -> Any:
        self.calls.append(f"{method} {path}")
        resource = path.removeprefix("/repos/me/ratchet/")
        if match := re.fullmatch(r"actions/runs/(\d+)", resource):
            return {"id": int(match[1]), "status": self.run_status, "run_attempt": 1}
        if resource == "actions/workflows/monitor.yml":
            return {"state": self.workflow_state}
        if resource == "actions/workflows/monitor.yml/runs":
            return {"workflow_runs": [{"run_started_at": one} for one in self.looked]}
        if match := re.fullmatch(r"git/ref/(tags/.*)", resource):
            return next((one for one in self.refs if one["ref"] == f"refs/{match[1]}"), None)
        if match := re.fullmatch(r"releases/tags/(.*)", resource):
            return next((one for one in self.releases if one["tag_name"] == match[1]), None)
        if resource in ("git/tags", "git/refs"):
            items = self.tags if resource == "git/tags" else self.refs
            items.append({"sha": f"{len(items):040x}", **content})
            return items[-1]
        if re.fullmatch(r"issues/\d+/comments", resource):
            number = int(resource.split("/")[1])
            mine = [one for one in self.comments if one["number"] == number]
            made = {"number": number, "user": {"type": "Bot"}}
            return self._list_or_add(mine, self.comments, method, content, query, made)
        if match := re.fullmatch(r"issues/comments/(\d+)", resource):
            return self._change(self.comments, "id", int(match[1]), content)
        if match := re.fullmatch(r"(issues|pulls)/(\d+)", resource):
            return self._change(getattr(self, match[1]), "number", int(match[2]), content)
        items = getattr(self, resource)
        wanted = [one for one in items if query.get("state") in (None, one.get("state"))]
        if head := query.get("head"):
            wanted = [one for one in wanted if one["head"] == head.split(":")[1]]
        made = {"number": len(items) + 1, "state": "open"}
        return self._list_or_add(wanted, items, method, content, query, made)

    def _list_or_add(
        self, found: Items, items: Items, method: str, content: Any, query: Any, made: Any
    ) -> Any:
        if method == "POST":
            items.append({"id": 100 + len(items), **made, **content})
            return items[-1]
        start = (int(query.get("page", 1)) - 1) * int(query.get("per_page", 30))
        return found[start : start + int(query.get("per_page", 30))]

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
            answer = github.answer(self.command, address.path, query, content)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

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
