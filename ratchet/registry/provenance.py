"""The provenance of a run: commit, branch, lock file, environment, CI run and process."""

import hashlib
import importlib.metadata
import os
import platform
import re
import socket
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

LOCK = Path("requirements.txt")
DEMO = "RATCHET_DEMO"  # "true" in the environment of a step that works on simulated requests


@dataclass(frozen=True)
class Provenance:
    commit: str
    dirty: bool
    branch: str
    lock_sha256: str
    environment: str  # "as locked", or the differences between the environment and the lock file
    python: str
    ci_run: str

    @property
    def revision(self) -> str:
        return f"{self.commit}-dirty" if self.dirty else self.commit

    def tags(self) -> dict[str, str]:
        tags = {key: str(value) for key, value in asdict(self).items()}
        return tags | {"dirty": str(self.dirty).lower()}


def is_demonstration() -> bool:
    return os.environ.get(DEMO) == "true"


@cache
def provenance() -> Provenance:
    return Provenance(
        commit=_git("rev-parse", "HEAD") or "none",
        dirty=_git("status", "--porcelain") != "",  # also dirty if there is no repository
        branch=os.environ.get("GITHUB_HEAD_REF")
        or os.environ.get("GITHUB_REF_NAME")
        or _git("rev-parse", "--abbrev-ref", "HEAD")
        or "none",
        lock_sha256=hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else "none",
        environment=_environment(LOCK.read_text()) if LOCK.exists() else "no lock",
        python=platform.python_version(),
        ci_run=_ci_run(),
    )


def _git(*arguments: str) -> str | None:
    """Return git's output, or None if there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _ci_run() -> str:
    from ratchet.github.links import run_url

    return run_url(os.environ) or "none"


def _environment(lock: str) -> str:
    differences = [
        f"{name} {installed} instead of {locked}"
        for name, locked in locked_versions(lock).items()
        if (installed := _installed(name)) not in (None, locked)
    ]
    return "; ".join(differences) if differences else "as locked"


def locked_versions(lock: str) -> dict[str, str]:
    """Return the versions in a lock file that hold for every platform and Python version.

    >>> locked_versions("a==1.0 \\\\\\n    --hash=sha256:0\\nb==2 ; python_version < '3'\\n")
    {'a': '1.0'}
    """
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)(?=\s*(?:\\)?$)", lock, re.M)
    return dict(pins)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def process_id() -> str:
    """Return host, process number and start time, because a process number can be used again."""
    return f"{socket.gethostname()} {os.getpid()} {_start_time(os.getpid())}"


def process_has_ended(process: str, if_unknown: bool) -> bool:
    """Return whether this process has ended, or `if_unknown` if it runs on another machine."""
    host, pid, started = process.rsplit(" ", 2)
    if host != socket.gethostname():
        return if_unknown
    return _start_time(int(pid)) != float(started)


def _start_time(pid: int) -> float:
    """Return the time at which the process started, or 0 if there is no such process."""
    import psutil

    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0
