"""A git repository for the store only, and the remote to which it is pushed.

It calls the program git, because pygit2 and dulwich have no `--atomic` and `--force-with-lease`.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import InputError
from ratchet.github.credentials import git_settings

ATTEMPTS = 4
# Fast compression is enough: models and pictures are compressed already, and a database becomes
# small at any level.
SETTINGS = {
    "core.compression": "1",
    "core.looseCompression": "1",
    "pack.compression": "1",
    "pack.window": "0",
    "gc.auto": "0",
    "fetch.unpackLimit": "1",
    "transfer.unpackLimit": "1",
}

Change = tuple[str | None, str | None]
"""A ref's old and new commit; None means that the ref does not exist."""


class GitError(Exception):
    def __init__(self, command: str, code: int, errors: str) -> None:
        super().__init__(f"git {command}: {errors.strip() or f'exit code {code}'}")
        self.code = code


@dataclass(frozen=True)
class Remote:
    """The local bare repository in `folder`, and the address of the remote."""

    folder: Path
    address: str

    def git(self, *arguments: str, text: str | None = None, **env: str) -> str:
        """Run git and return its output. `text` is git's standard input, `env` adds variables."""
        done = subprocess.run(
            ["git", f"--git-dir={self.folder}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | git_settings(self.address, SETTINGS) | env,
        )
        if done.returncode:
            raise GitError(arguments[0], done.returncode, done.stderr)
        return done.stdout.strip()

    def refs(self, *patterns: str) -> dict[str, str]:
        """Return the remote's refs that match a pattern, with their commits.

        If the remote cannot be reached, raise InputError instead of returning an empty result.
        """
        lines = self._with_retries("ls-remote", self.address, *patterns).splitlines()
        return {name: commit for commit, name in map(str.split, lines)}

    def fetch(self, ref: str) -> str:
        """Fetch a ref, and return its commit."""
        self._with_retries("fetch", "--quiet", "--depth=1", "--no-tags", self.address, ref)
        return self.git("rev-parse", "FETCH_HEAD")

    def _with_retries(self, *arguments: str) -> str:
        for attempt in range(ATTEMPTS):
            try:
                return self.git(*arguments)
            except GitError as error:
                if attempt == ATTEMPTS - 1:
                    raise InputError(
                        f"{self.address} does not answer: {error}. Check the address, the network"
                        " and the credentials, then run the step again"
                    ) from None
                time.sleep(2**attempt)
        raise AssertionError

    def commit(self, tree: str, message: str) -> str:
        """Create a commit without a parent, because a state is stored without its history."""
        name = {"GIT_AUTHOR_NAME": "Ratchet", "GIT_COMMITTER_NAME": "Ratchet"}
        mail = {"GIT_AUTHOR_EMAIL": "ratchet@localhost", "GIT_COMMITTER_EMAIL": "ratchet@localhost"}
        return self.git("commit-tree", tree, "-F", "-", text=message, **name, **mail)

    def push(self, changes: dict[str, Change]) -> bool:
        """Change all refs or none. Return False if one of them no longer has its old commit.

        If git reports an error, the refs of the remote are read: perhaps the push succeeded, and
        only the answer was lost.
        """
        leases = [f"--force-with-lease={ref}:{old or ''}" for ref, (old, _) in changes.items()]
        targets = [f"{new or ''}:{ref}" for ref, (_, new) in changes.items()]
        for attempt in range(ATTEMPTS):
            try:
                self.git("push", "--quiet", "--atomic", *leases, self.address, *targets)
                return True
            except GitError as error:
                refs = self.refs(*changes)
                if all(refs.get(ref) == new for ref, (_, new) in changes.items()):
                    return True
                if any(refs.get(ref) != old for ref, (old, _) in changes.items()):
                    return False
                if attempt == ATTEMPTS - 1:
                    raise InputError(
                        f"{self.address} refused the push: {error}. Check that you may write to"
                        " this repository, then run the step again"
                    ) from None
                time.sleep(2**attempt)
        raise AssertionError


def store_remote(folder: Path) -> Remote:
    """Return the store's repository for this folder, and create it if it is missing."""
    path = folder.absolute() / ".ratchet" / "store.git"
    if not (path / "HEAD").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "--quiet", "--bare", path], check=True, capture_output=True)
        (path / "info").mkdir(exist_ok=True)
        (path / "info" / "attributes").write_text("* -text -filter -ident\n")  # no conversions
    return Remote(path, _origin_address())


def _origin_address() -> str:
    command = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            "This folder has no git remote 'origin', on which the store is kept. Work in a clone,"
            " or add the remote: git remote add origin ADDRESS"
        )
    address = done.stdout.strip()
    local = Path(address)
    return str(local.absolute()) if local.exists() else address
