"""A lock that every run can see: a ref on the remote that only one push can create.

SQLite files cannot be merged, so a run that writes holds the lock from the reading to the putting
back. Its holder is named in the commit that the ref points to. It is broken when that run is over,
as GitHub says, or when its time is up; no job that holds it may last longer than that.
"""

import json
import os
import random
import secrets
import socket
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ratchet.errors import InputError
from ratchet.store.remote import GitError, Remote

LOCK = "refs/ratchet/lock"
MINUTES = 120
PAUSE = 3.0  # seconds between two looks, give or take a half
SECONDS_BETWEEN_QUESTIONS = 30  # a token has 1000 an hour


@dataclass(frozen=True)
class Holder:
    who: str  # the run's address, or user and machine
    repository: str
    run_id: str
    attempt: str
    job: str
    until: float
    nonce: str  # two commits with the same words in the same second would be one commit

    def __str__(self) -> str:
        return f"{self.who}, until {time.strftime('%H:%M:%S UTC', time.gmtime(self.until))}"


def this_run() -> Holder:
    env = os.environ
    run_id, repository = env.get("GITHUB_RUN_ID", ""), env.get("GITHUB_REPOSITORY", "")
    address = f"{env.get('GITHUB_SERVER_URL', '')}/{repository}/actions/runs/{run_id}"
    return Holder(
        who=address if run_id else f"{env.get('USER', 'someone')} on {socket.gethostname()}",
        repository=repository,
        run_id=run_id,
        attempt=env.get("GITHUB_RUN_ATTEMPT", "1"),
        job=env.get("GITHUB_JOB", ""),
        until=time.time() + 60 * MINUTES,
        nonce=secrets.token_hex(16),
    )


def acquire(remote: Remote, say: Callable[[str], None] = print) -> str:
    """The lock's commit, once it is this run's. Waits as long as a lock can last."""
    end, ask_at = time.time() + 60 * MINUTES, 0.0
    known: dict[str, Holder] = {}
    while time.time() < end:
        held = remote.refs(LOCK).get(LOCK)
        reason: str | None = "it was free"
        if held is not None:
            if held not in known and (other := holder_of(remote, held)):
                known = {held: other}
                say(f"The store is held by {other}; waiting. Cancel that run to go first")
            reason = over(known.get(held), ask_github=time.time() >= ask_at)
            if time.time() >= ask_at:
                ask_at = time.time() + SECONDS_BETWEEN_QUESTIONS
        if reason and (mine := _seize(remote, held)):
            say(f"The store's lock is this run's: {reason}")
            return mine
        time.sleep(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311
    raise InputError(f"The store's lock ({LOCK}) was not to be had; cancel the run that holds it")


def _seize(remote: Remote, held: str | None) -> str | None:
    mine = remote.commit(remote.git("mktree", take=""), json.dumps(asdict(this_run())))
    return mine if remote.push({LOCK: (held, mine)}) else None


def release(remote: Remote, mine: str) -> bool:
    """False where it was no longer this run's."""
    return remote.push({LOCK: (mine, None)})


def holder_of(remote: Remote, commit: str) -> Holder | None:
    """None where it was not to be read: it was freed in the meantime, or the network failed."""
    try:
        remote.git("fetch", "--quiet", "--depth=1", remote.address, LOCK)
        words = remote.git("show", "--no-patch", "--format=%B", commit)
    except GitError:
        return None
    return Holder(**json.loads(words))


def over(other: Holder | None, ask_github: bool) -> str | None:
    """Why the other run needs its lock no longer; None where it does, or was not to be read."""
    if other is None:
        return None
    mine = this_run()
    if time.time() > other.until:
        return f"the time of {other.who} was up"
    if other.run_id and (other.repository, other.run_id) == (mine.repository, mine.run_id):
        earlier = int(other.attempt) < int(mine.attempt)
        return f"{other.who} held it in an earlier attempt" if earlier else None
    return f"{other.who} is over" if other.run_id and ask_github and _has_ended(other) else None


def _has_ended(other: Holder) -> bool:
    """What GitHub says; where it does not answer, no."""
    api, token = os.environ.get("GITHUB_API_URL"), os.environ.get("GITHUB_TOKEN")
    if not (api and token):
        return False
    request = urllib.request.Request(  # noqa: S310
        f"{api}/repos/{other.repository}/actions/runs/{other.run_id}",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            run = json.load(answer)
    except (OSError, ValueError):
        return False
    return bool(run.get("status") == "completed" or run.get("run_attempt", 0) > int(other.attempt))
