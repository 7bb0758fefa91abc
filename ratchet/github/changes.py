"""The parts of CI that a change needs: python3 -m ratchet.github.changes

Sets the outputs `code` and `locks`. A change of configs, docs or pictures alone needs no tests of
the library. Neither does a push to main that merges a pull request, because CI has tested that.
"""

import os
import subprocess
from pathlib import Path, PurePosixPath

from ratchet.github.client import Repository

NO_CODE = ("configs", "docs", ".github/ISSUE_TEMPLATE")


def main() -> None:
    files = changed_files()
    code, locks = any(map(is_code, files)), any(map(is_lock, files))
    if os.environ["GITHUB_EVENT_NAME"] == "push":
        code = not merges_pull_request(Repository.from_environment())
        locks = locks and code  # maintenance.yml audits the locks every week
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"code={str(code).lower()}\nlocks={str(locks).lower()}\n")


def changed_files() -> list[str]:
    """Return the files that differ from the first parent: the base of a pull request."""
    command = ["git", "diff", "--name-only", "HEAD^1", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def is_code(file: str) -> bool:
    """
    >>> [is_code(file) for file in ("configs/models/a.yaml", "README.md", "ratchet/entry.py")]
    [False, False, True]
    """
    path = PurePosixPath(file)
    return path.suffix != ".md" and not any(path.is_relative_to(folder) for folder in NO_CODE)


def is_lock(file: str) -> bool:
    """
    >>> [is_lock(file) for file in ("bentos/requirements.txt", ".ci/uv.txt", "notes.txt")]
    [True, True, False]
    """
    path = PurePosixPath(file)
    return path.suffix == ".txt" and (
        path.name.startswith("requirements") or path.parts[0] == ".ci"
    )


def merges_pull_request(repository: Repository) -> bool:
    commit = os.environ["GITHUB_SHA"]
    pulls = repository.request("GET", f"commits/{commit}/pulls")
    return any(one["merge_commit_sha"] == commit for one in pulls)


if __name__ == "__main__":
    main()
