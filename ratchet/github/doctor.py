"""The checklist of what is set up in a repository on GitHub: python3 -m ratchet.github.doctor

It writes a table into the job summary: each part, its state, what does not work without it, and how
to set it up. The environment variables SECRETS and VARIABLES contain the names of the secrets and
variables that are set, never their values.
"""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ratchet.github.client import GitHubError, Repository, append_summary

PORTS = {"http": 80, "https": 443, "postgresql": 5432}
SCHEDULED = {"monitor": "drift is not checked", "promote": "nothing is promoted automatically"}
SCHEDULED |= {"maintenance": "no audit, no pruning, no new locks"}


@dataclass(frozen=True)
class Check:
    part: str
    state: str  # ok, missing, optional or unknown
    without: str
    remedy: str

    def row(self) -> str:
        return f"| {self.part} | {self.state} | {self.without} | {self.remedy} |"


def main() -> None:
    repository = Repository.from_environment()
    names = set(os.environ.get("SECRETS", "").split()) | set(os.environ["VARIABLES"].split())
    checks = [
        *workflow_checks(repository),
        issues_check(repository),
        pull_request_check(),
        production_check(repository),
        store_check(names),
        webhook_check(names),
        log_check(names, os.environ.get("RATCHET_LOG_URL") or os.environ.get("RATCHET_LOG", "")),
    ]
    rows = ["| part | state | without it | to set it up |", "| --- | --- | --- | --- |"]
    append_summary("\n".join(["## Set-up", "", *rows, *(check.row() for check in checks)]))
    for check in checks:
        print(f"{check.state:9} {check.part}")
    outputs = {"missing": [check.part for check in checks if check.state == "missing"]}
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"missing={json.dumps(outputs['missing'])}\n")


def workflow_checks(repository: Repository) -> list[Check]:
    workflows = repository.request("GET", "actions/workflows?per_page=100")["workflows"]
    states = {Path(one["path"]).stem: one["state"] for one in workflows}
    return [
        Check(
            f"schedule of `{name}`",
            "ok" if states.get(name) == "active" else "missing",
            cost,
            f"Actions, {name}, *Enable workflow* (a fork starts with schedules disabled)",
        )
        for name, cost in SCHEDULED.items()
    ]


def issues_check(repository: Repository) -> Check:
    enabled = repository.get()["has_issues"]
    remedy = "Settings, General, Features, *Issues*"
    return Check("issues", "ok" if enabled else "missing", "drift opens no issue", remedy)


def pull_request_check() -> Check:
    """Return the state "unknown", because the token of a workflow may not read this setting."""
    remedy = "Settings, Actions, General, *Allow GitHub Actions to create pull requests*"
    without = "a config found by AutoML, and new locks, are pushed to a branch only"
    return Check("pull requests by Actions", "unknown", without, remedy)


def production_check(repository: Repository) -> Check:
    try:
        environment = repository.get("environments/production") or {}
    except GitHubError:
        environment = {}
    rules = [rule["type"] for rule in environment.get("protection_rules", [])]
    return Check(
        "required reviewers of `production`",
        "ok" if "required_reviewers" in rules else "optional",
        "`promote` moves `prod` without approval",
        "Settings, Environments, production (a public repository or GitHub Enterprise)",
    )


def store_check(names: set[str]) -> Check:
    server, is_set = "MLFLOW_TRACKING_URI" in names, "RATCHET_STORE" in names
    return Check(
        "the store: " + ("an MLflow server" if server else "`refs/ratchet/store`"),
        "ok" if is_set else "optional",
        "if the server's address is deleted by mistake, a second store begins",
        "variable `RATCHET_STORE`: `git` or `server`",
    )


def webhook_check(names: set[str]) -> Check:
    return Check(
        "messages to a chat",
        "ok" if "RATCHET_WEBHOOK_URL" in names else "optional",
        "nobody is told of drift, promotions and failed schedules outside GitHub",
        "secret `RATCHET_WEBHOOK_URL`: an incoming webhook of Slack, Teams or Mattermost",
    )


def log_check(names: set[str], address: str) -> Check:
    without = "`promote` and `monitor` have nothing to look at"
    remedy = "variable `RATCHET_LOG`, and secret `RATCHET_LOG_URL` (docs/workflows.md)"
    if "RATCHET_LOG" not in names:  # a job's condition can read variables, but not secrets
        return Check("prediction log", "missing", without, remedy)
    if not answers(address):
        return Check("prediction log", "missing", without, "its host does not answer; start it")
    return Check("prediction log", "ok", without, remedy)


def answers(address: str) -> bool:
    """Return whether the host of the address accepts a connection, or True if it has no host."""
    parts = urlsplit(address)
    if not parts.hostname:
        return True
    port = parts.port or PORTS.get(parts.scheme.split("+")[0], 443)
    try:
        socket.create_connection((parts.hostname, port), timeout=10).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
