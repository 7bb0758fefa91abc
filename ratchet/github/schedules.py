"""Warnings if GitHub has disabled the schedules, or will: python3 -m ratchet.github.schedules

GitHub disables the schedules of a public repository after 60 days without a commit. In a fork they
are disabled from the start. The job summary therefore also says when drift was last checked.
"""

import subprocess
from datetime import UTC, datetime

from ratchet.github.client import Repository, append_summary

IDLE_DAYS, WARN_DAYS, CHECK_DAYS = 60, 45, 3


def main() -> None:
    repository = Repository.from_environment()
    monitor = repository.request("GET", "actions/workflows/monitor.yml")
    runs = repository.request(
        "GET", "actions/workflows/monitor.yml/runs?status=success&per_page=1"
    )["workflow_runs"]
    seconds = subprocess.check_output(["git", "log", "-1", "--format=%ct"], text=True)
    idle = days_since(datetime.fromtimestamp(int(seconds), UTC))
    last = datetime.fromisoformat(runs[0]["run_started_at"]) if runs else None
    append_summary(last_check(last))
    for warning in warnings(monitor["state"], last, idle):
        print(f"::warning title=Drift is not checked::{warning}")


def last_check(last: datetime | None) -> str:
    if last is None:
        return "Drift was not checked yet."
    return f"Drift was last checked on {last:%Y-%m-%d %H:%M} UTC, {days_since(last)} days ago."


def warnings(state: str, last: datetime | None, idle: int) -> list[str]:
    messages = []
    if state != "active":
        messages.append(f"The workflow monitor is {state}. Enable it under Actions, monitor")
    elif last is not None and days_since(last) > CHECK_DAYS:
        messages.append(f"{last_check(last)} See the runs of the workflow monitor")
    if idle >= WARN_DAYS:
        messages.append(
            f"The last commit is {idle} days old. GitHub disables the schedules of a public"
            f" repository after {IDLE_DAYS} days without a commit. Push any commit to prevent this"
        )
    return messages


def days_since(then: datetime) -> int:
    return (datetime.now(UTC) - then).days


if __name__ == "__main__":
    main()
