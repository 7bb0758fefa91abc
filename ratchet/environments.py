"""Python environments for lock files.

Each environment is created once, in a folder named by the hash of its lock file. It is complete or
missing: after a creation that was interrupted, the next call starts again.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from ratchet.errors import InputError

ENVIRONMENTS = Path(".ratchet/environments")
CAUSES = {
    "No space left on device": "the disk is full; it needs 1.5 GB here, and as much in uv's cache",
    "error sending request": "the package index does not answer; check the network and try again",
    "Failed to fetch": "the package index does not answer; check the network and try again",
    "hash mismatch": "the hash of a package is not the one in the lock file; update it: make lock",
}


def python_of(lock: Path) -> Path:
    """Return the Python of the lock file's environment, and create the environment if needed."""
    try:
        content = lock.read_bytes()
    except OSError as error:
        raise InputError(
            f"{lock} cannot be read ({error.strerror}). Create it: make lock"
        ) from None
    folder = (ENVIRONMENTS / hashlib.sha256(content).hexdigest()[:16]).absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            _create(lock, folder, packages=content.count(b"=="))
        except OSError as error:
            raise InputError(f"{folder} cannot be created: {error.strerror}") from None
    return python


def _create(lock: Path, folder: Path, packages: int) -> None:
    """Install into a temporary folder, then rename it, so that a kill leaves nothing half done."""
    partial = folder.with_suffix(".partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one process at a time
        if folder.exists():
            return
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _install(lock, partial, packages)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _install(lock: Path, folder: Path, packages: int) -> None:
    from rich.console import Console

    started = time.monotonic()
    print(f"Creating the environment of {lock.name} once (packages: {packages})", flush=True)
    install = ["pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    with Console().status("") as status:
        for arguments in (
            ["venv", "--relocatable", "--python", "3.11", str(folder)],
            [*install, "--require-hashes", "--requirements", str(lock)],
        ):
            for _ in _uv(arguments, lock):
                installed = sum(1 for _ in folder.glob("lib/*/site-packages/*.dist-info"))
                seconds = time.monotonic() - started
                status.update(f"{installed} of {packages} packages are installed, {seconds:.0f} s")
    print(f"Created in {time.monotonic() - started:.0f} s: {folder.stem}", flush=True)


def _uv(arguments: list[str], lock: Path) -> Iterator[None]:
    """Run uv, and yield regularly while it works."""
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    with TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                yield
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            raise InputError(_failure(lock, output.read()))


def _failure(lock: Path, output: str) -> str:
    causes = (cause for sign, cause in CAUSES.items() if sign.lower() in output.lower())
    cause = next(causes, f"uv reports: {output.strip()[-500:]}")
    return f"The environment of {lock.name} could not be created: {cause}"
