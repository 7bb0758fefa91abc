"""Cancellation of older runs of `promote` that wait for a reviewer.

python3 -m ratchet.github.approvals

An older run would move aliases by an older decision and an older commit. Cancelling it is safe,
because a run that waits has not moved anything. Only the newest run is left for the reviewer.
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
        append_summary(f"Cancelled older runs that waited for a reviewer: {len(older)}.")


if __name__ == "__main__":
    main()
