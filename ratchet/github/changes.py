"""The decision which parts of CI a change needs: python3 -m ratchet.github.changes

The output `code` is true if the library has to be tested. It is false if only configs, docs or
pictures changed, and if a push merges a pull request, because CI has tested that pull request. The
output `locks` is true if the lock files have to be checked for vulnerabilities.
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
    """Return the files that differ from the first parent, which is the base of a pull request."""
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
