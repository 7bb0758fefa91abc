"""When drift was last looked at; and that GitHub stops the schedules of an idle repository.

GitHub does so in a public repository after 60 days without a commit.
"""

import json
import os
import subprocess
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

IDLE_DAYS, WARN_DAYS, LOOKED_DAYS = 60, 45, 3


def main() -> None:
    monitor = ask("actions/workflows/monitor.yml")
    looks = ask("actions/workflows/monitor.yml/runs?status=success&per_page=1")["workflow_runs"]
    seconds = subprocess.check_output(["git", "log", "-1", "--format=%ct"], text=True)
    idle = days_since(datetime.fromtimestamp(int(seconds), UTC))
    last = datetime.fromisoformat(looks[0]["run_started_at"]) if looks else None
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.write(f"{looked(last)}\n")
    for warning in warnings(monitor["state"], last, idle):
        print(f"::warning title=Drift is not watched::{warning}")


def looked(last: datetime | None) -> str:
    if last is None:
        return "Drift was not looked at yet."
    return f"Drift was last looked at on {last:%Y-%m-%d %H:%M} UTC, {days_since(last)} days ago."


def warnings(state: str, last: datetime | None, idle: int) -> list[str]:
    found = []
    if state != "active":
        found.append(f"The workflow monitor is {state}; enable it under Actions, monitor")
    elif last is not None and days_since(last) > LOOKED_DAYS:
        found.append(f"{looked(last)} See the runs of the workflow monitor")
    if idle >= WARN_DAYS:
        found.append(
            f"The last commit is {idle} days old; GitHub stops a public repository's schedules"
            f" after {IDLE_DAYS} days without one. Any commit keeps them"
        )
    return found


def days_since(then: datetime) -> int:
    return (datetime.now(UTC) - then).days


def ask(path: str) -> Any:
    api, repository = os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"]
    request = urllib.request.Request(  # noqa: S310
        f"{api}/repos/{repository}/{path}",
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    main()
