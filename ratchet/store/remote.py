"""git, as the store needs it: a repository of its own, and a remote that may be GitHub.

No library does this as well: pygit2 and dulwich know neither `--atomic` nor `--force-with-lease`.
"""

import base64
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import InputError

ATTEMPTS = 4
FASTER = {  # models and pictures are compressed already; a database shrinks well at any level
    "core.compression": "1",
    "core.looseCompression": "1",
    "pack.compression": "1",
    "pack.window": "0",
    "gc.auto": "0",
    "fetch.unpackLimit": "1",
    "transfer.unpackLimit": "1",
}


class GitError(Exception):
    def __init__(self, command: str, code: int, said: str) -> None:
        super().__init__(f"git {command}: {said.strip() or f'exit code {code}'}")
        self.code = code


@dataclass(frozen=True)
class Remote:
    """`folder` is the bare repository beside the store; `address` what it fetches from."""

    folder: Path
    address: str

    def git(self, *arguments: str, take: str | None = None, **env: str) -> str:
        """Its output. `take` is what it reads."""
        command = ["git", f"--git-dir={self.folder}", *arguments]
        done = subprocess.run(
            command, input=take, capture_output=True, text=True, check=False,
            env=os.environ | _settings(self.address) | env,
        )  # fmt: skip
        if done.returncode:
            raise GitError(arguments[0], done.returncode, done.stderr)
        return done.stdout.strip()

    def refs(self, *names: str) -> dict[str, str]:
        """Of these, the ones that are there. A network that fails is a fault, not an absence."""
        found = self._patiently("ls-remote", self.address, *names)
        return {name: commit for commit, name in map(str.split, found.splitlines())}

    def fetch(self, ref: str) -> str:
        """The commit that came."""
        self._patiently("fetch", "--quiet", "--depth=1", "--no-tags", self.address, ref)
        return self.git("rev-parse", "FETCH_HEAD")

    def _patiently(self, *arguments: str) -> str:
        for attempt in range(ATTEMPTS):
            try:
                return self.git(*arguments)
            except GitError as error:
                if attempt == ATTEMPTS - 1:
                    raise InputError(f"{self.address} does not answer: {error}") from None
                time.sleep(2**attempt)
        raise AssertionError

    def commit(self, tree: str, message: str) -> str:
        """Without a parent: the branch holds one state, not its history."""
        name = {"GIT_AUTHOR_NAME": "Ratchet", "GIT_COMMITTER_NAME": "Ratchet"}
        mail = {"GIT_AUTHOR_EMAIL": "ratchet@localhost", "GIT_COMMITTER_EMAIL": "ratchet@localhost"}
        return self.git("commit-tree", tree, "-F", "-", take=message, **name, **mail)

    def push(self, changes: dict[str, tuple[str | None, str | None]]) -> bool:
        """{ref: (from, to)}: all of them or none; false where one is no longer what it was.

        A push whose answer was lost is recognised by what stands there afterwards.
        """
        leases = [f"--force-with-lease={ref}:{old or ''}" for ref, (old, _) in changes.items()]
        wanted = [f"{new or ''}:{ref}" for ref, (_, new) in changes.items()]
        for attempt in range(ATTEMPTS):
            try:
                self.git("push", "--quiet", "--atomic", *leases, self.address, *wanted)
                return True
            except GitError as error:
                found = self.refs(*changes)
                if all(found.get(ref) == new for ref, (_, new) in changes.items()):
                    return True
                if any(found.get(ref) != old for ref, (old, _) in changes.items()):
                    return False
                if attempt == ATTEMPTS - 1:
                    raise InputError(f"{self.address} took no push: {error}") from None
                time.sleep(2**attempt)
        raise AssertionError


def beside(folder: Path) -> Remote:
    """The store's repository for this folder, made where it is missing."""
    made = folder.absolute() / ".ratchet" / "store.git"
    if not (made / "HEAD").exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "--quiet", "--bare", made], check=True, capture_output=True)
        (made / "info").mkdir(exist_ok=True)
        (made / "info" / "attributes").write_text("* -text -filter -ident\n")  # bytes as they are
    return Remote(made, _origin())


def _origin() -> str:
    """Where this checkout came from."""
    command = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            "This folder has no git remote 'origin', on which the store's branch lies; work in a"
            " clone, or add one: git remote add origin ADDRESS"
        )
    address = done.stdout.strip()
    local = Path(address)
    return str(local.absolute()) if local.exists() else address


def _settings(address: str) -> dict[str, str]:
    """By environment: a token in a command line or a config file can be read by others."""
    settings = dict(FASTER)
    token, server = os.environ.get("GITHUB_TOKEN"), os.environ.get("GITHUB_SERVER_URL")
    if token and server and address.startswith(f"{server}/"):
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.{server}/.extraheader"] = f"AUTHORIZATION: basic {basic}"
    first = int(os.environ.get("GIT_CONFIG_COUNT", 0))  # after those that are there already
    env = {"GIT_CONFIG_COUNT": str(first + len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for index, (key, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env
