"""A service in a process of its own: started, waited for and stopped."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ratchet.errors import InputError

SECONDS_TO_START = 120
SECONDS_TO_END = 30


@contextmanager
def served(service: str, python: Path, folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Serve it and yield its address on loopback. It logs to service.log in the folder."""
    with started(service, python, folder, env) as address:
        yield address()


@contextmanager
def started(
    service: str, python: Path, folder: Path, env: Mapping[str, str]
) -> Iterator[Callable[[], str]]:
    """Start it and yield a function that waits until it answers and returns its address.

    It has a session of its own, so Ctrl-C reaches this process only, which then stops it.
    """
    port = _free_port()
    more = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOST": "127.0.0.1"}
    more["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', '')}"
    command = [str(python), "-m", "bentoml", "serve", service, "--port", str(port)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "service.log").open("w+") as log:
        process = subprocess.Popen(
            command,
            env=dict(env) | more,
            stdout=log,
            stderr=log,
            cwd=folder if Path(service).is_absolute() else None,
            start_new_session=True,
        )
        try:
            yield lambda: _ready(f"http://127.0.0.1:{port}", process, log)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let the service end its workers, and kill those that are still there after that."""
    import psutil

    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        _, alive = psutil.wait_procs(family, timeout=1)
        for one in alive:
            one.kill()
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ready(address: str, process: "subprocess.Popen[bytes]", log: Any) -> str:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            ask(f"{address}/readyz")
        except OSError:
            time.sleep(0.2)
        else:
            return address
    log.seek(0)
    raise InputError(f"The service is not ready after {SECONDS_TO_START} s: {log.read()[-1000:]}")


def ask(address: str, content: Any = None, method: str | None = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)
