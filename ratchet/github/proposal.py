"""A commit of changed files on a separate branch: python3 -m ratchet.github.proposal

It commits FILES (names or patterns) and pushes them to BRANCH, which is created or replaced. If the
files are unchanged, nothing is pushed. The output `proposed` says whether something was pushed.
"""

import os
import subprocess
from pathlib import Path

from ratchet.github.client import append_summary
from ratchet.github.credentials import git_settings

IDENTITY = ("-c", "user.name=Ratchet", "-c", "user.email=ratchet@localhost")


def main() -> None:
    branch, files = os.environ["BRANCH"], os.environ["FILES"].split()
    git("add", "--", *files)
    changed = git("diff", "--cached", "--name-only", "--", *files) != ""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as outputs:
        outputs.write(f"proposed={str(changed).lower()}\n")
    if not changed:
        append_summary(f"`{' '.join(files)}` is unchanged, so there is nothing to propose.")
        return
    git("switch", "--quiet", "--force-create", branch)
    git(*IDENTITY, "commit", "--quiet", "--message", os.environ["MESSAGE"], "--", *files)
    git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")


def git(*arguments: str) -> str:
    env = os.environ | git_settings(f"{os.environ['GITHUB_SERVER_URL']}/")
    return subprocess.run(
        ["git", *arguments], env=env, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


if __name__ == "__main__":
    main()
