"""The store lock: a ref on the remote that only one push can create.

SQLite files cannot be merged. A run that changes the store therefore holds the lock from the moment
it reads the store until its changes are pushed. The ref points to a commit whose message describes
the owner of the lock. Another run may take over the lock if GitHub says that the owner has ended,
or if the lock is older than 120 minutes. A job that holds the lock must therefore end earlier.
"""

import json
import os
import random
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ratchet.errors import InputError
from ratchet.github.client import GitHubError, Repository
from ratchet.github.links import run_url
from ratchet.store.remote import GitError, Remote

LOCK = "refs/ratchet/lock"
MINUTES = 120
PAUSE = 3.0  # seconds between two attempts, plus or minus half
SECONDS_BETWEEN_API_CALLS = 30  # GitHub allows a token 1000 calls an hour


@dataclass(frozen=True)
class Owner:
    """The run that holds the lock."""

    who: str  # the run's address on GitHub, or the user and the machine
    repository: str
    run_id: str
    attempt: str
    job: str
    until: float  # when the lock expires, in seconds since 1970
    nonce: str  # otherwise two commits with the same content would have the same hash

    def __str__(self) -> str:
        return f"{self.who}, until {time.strftime('%H:%M:%S UTC', time.gmtime(self.until))}"


def this_run() -> Owner:
    env = os.environ
    return Owner(
        who=run_url(env) or f"{env.get('USER', 'someone')} on {socket.gethostname()}",
        repository=env.get("GITHUB_REPOSITORY", ""),
        run_id=env.get("GITHUB_RUN_ID", ""),
        attempt=env.get("GITHUB_RUN_ATTEMPT", "1"),
        job=env.get("GITHUB_JOB", ""),
        until=time.time() + 60 * MINUTES,
        nonce=secrets.token_hex(16),
    )


def acquire(remote: Remote, log: Callable[[str], None] = print) -> str:
    """Wait until this run gets the lock, and return the lock's commit. `log` prints a message.

    Raise InputError if the lock is still taken after the longest time that a lock is valid.
    """
    end, next_api_call = time.time() + 60 * MINUTES, 0.0
    owners: dict[str, Owner] = {}
    while time.time() < end:
        commit = remote.refs(LOCK).get(LOCK)
        reason: str | None = "it was not taken"
        if commit is not None:
            if commit not in owners and (owner := owner_of(remote, commit)):
                owners = {commit: owner}
                log(f"The store is locked by {owner}. Waiting for it; to stop it, cancel that run")
            reason = expired_reason(owners.get(commit), ask_github=time.time() >= next_api_call)
            if time.time() >= next_api_call:
                next_api_call = time.time() + SECONDS_BETWEEN_API_CALLS
        if reason and (mine := _create(remote, commit)):
            log(f"This run now has the store lock: {reason}")
            return mine
        time.sleep(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311
    raise InputError(
        f"Could not get the store lock within {MINUTES} minutes;"
        f" {', '.join(str(owner.who) for owner in owners.values()) or 'another run'} holds it."
        " Cancel that run, or free the lock: action=free force=true"
    )


def _create(remote: Remote, old: str | None) -> str | None:
    mine = remote.commit(remote.git("mktree", text=""), json.dumps(asdict(this_run())))
    return mine if remote.push({LOCK: (old, mine)}) else None


def release(remote: Remote, commit: str) -> bool:
    """Delete the lock if it still is this commit, and return whether it was."""
    return remote.push({LOCK: (commit, None)})


def owner_of(remote: Remote, commit: str) -> Owner | None:
    """Return the lock's owner, or None if the lock is gone or cannot be read."""
    try:
        remote.git("fetch", "--quiet", "--depth=1", remote.address, LOCK)
        message = remote.git("show", "--no-patch", "--format=%B", commit)
    except GitError:
        return None
    return Owner(**json.loads(message))


def expired_reason(owner: Owner | None, ask_github: bool) -> str | None:
    """Return why the owner no longer needs its lock, or None if it may still need it."""
    if owner is None:
        return None
    mine = this_run()
    if time.time() > owner.until:
        return f"the lock of {owner.who} had expired"
    if owner.run_id and (owner.repository, owner.run_id) == (mine.repository, mine.run_id):
        earlier = int(owner.attempt) < int(mine.attempt)
        return f"an earlier attempt of {owner.who} had it" if earlier else None
    return f"{owner.who} has ended" if owner.run_id and ask_github and _has_ended(owner) else None


def _has_ended(owner: Owner) -> bool:
    """Return whether GitHub says that the run has ended, or False if GitHub does not answer."""
    api, token = os.environ.get("GITHUB_API_URL"), os.environ.get("GITHUB_TOKEN")
    if not (api and token):
        return False
    repository = Repository(api, owner.repository, token)
    try:
        run = repository.request("GET", f"actions/runs/{owner.run_id}")
    except (GitHubError, OSError, ValueError):
        return False
    return bool(run.get("status") == "completed" or run.get("run_attempt", 0) > int(owner.attempt))
