"""The environment of a lock, made once and kept by the lock's hash: whole, or not there."""

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
    "No space left on device": "the disk is full; it needs 1.5 GB here and as much in uv's cache",
    "error sending request": "it is downloaded once, and the package index does not answer",
    "Failed to fetch": "it is downloaded once, and the package index does not answer",
    "hash mismatch": "a package is not the one that was locked; make the lock again: make lock",
}


def python_of(lock: Path) -> Path:
    """Its interpreter; the environment is made where it is not there yet."""
    try:
        content = lock.read_bytes()
    except OSError as error:
        raise InputError(f"{lock} cannot be read ({error.strerror}); make it: make lock") from None
    folder = (ENVIRONMENTS / hashlib.sha256(content).hexdigest()[:16]).absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            _make(lock, folder, packages=content.count(b"=="))
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}") from None
    return python


def _make(lock: Path, folder: Path, packages: int) -> None:
    """Beside its place, then moved there, one maker at a time: a kill leaves no half of one."""
    beside = folder.with_suffix(".partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if folder.exists():
            return
        shutil.rmtree(beside, ignore_errors=True)
        try:
            _install(lock, beside, packages)
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _install(lock: Path, folder: Path, packages: int) -> None:
    from rich.console import Console

    began = time.monotonic()
    print(f"Making the environment of {lock.name}, once: {packages} packages", flush=True)
    install = ["pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    with Console().status("") as status:
        for arguments in (
            ["venv", "--relocatable", "--python", "3.11", str(folder)],
            [*install, "--require-hashes", "--requirements", str(lock)],
        ):
            for _ in _uv(arguments, lock):
                there = sum(1 for _ in folder.glob("lib/*/site-packages/*.dist-info"))
                seconds = time.monotonic() - began
                status.update(f"{there} of {packages} packages are there, {seconds:.0f} s")
    print(f"Made in {time.monotonic() - began:.0f} s: {folder.stem}", flush=True)


def _uv(arguments: list[str], lock: Path) -> Iterator[None]:
    """Again and again while it works."""
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            while process.poll() is None:
                yield
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            said.seek(0)
            raise InputError(_failure(lock, said.read()))


def _failure(lock: Path, said: str) -> str:
    known = next((why for sign, why in CAUSES.items() if sign.lower() in said.lower()), None)
    why = known or f"uv says: {said.strip()[-500:]}"
    return f"The environment of {lock.name} could not be made: {why}. Nothing is left of it"
