"""One waiting approval at a time, the newest: python3 -m ratchet.github.approvals

Cancels older runs of `promote` that wait for a reviewer. Each of them would move aliases by an
older decision and an older commit. A waiting run has not begun to move anything.
"""

import os

from ratchet.github.client import Repository, append_summary


def main() -> None:
    repository = Repository.from_environment()
    path = "actions/workflows/promote.yml/runs?status=waiting&per_page=100"
    current = int(os.environ["GITHUB_RUN_ID"])
    older = [
        run["id"] for run in repository.request("GET", path)["workflow_runs"] if run["id"] < current
    ]
    for run_id in older:
        repository.post(f"actions/runs/{run_id}/cancel", {})
    if older:
        append_summary(f"{len(older)} older runs that waited for a reviewer were cancelled.")


if __name__ == "__main__":
    main()
