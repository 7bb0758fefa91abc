"""Running a service in a separate process: start it, wait until it answers, stop it."""

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
    """Start a BentoML service, wait until it answers, yield its address, and stop it at the end.

    `service` is the folder of a service or of a Bento. Its output is in service.log in `folder`.
    """
    with started(service, python, folder, env) as address:
        yield address()


@contextmanager
def started(
    service: str, python: Path, folder: Path, env: Mapping[str, str]
) -> Iterator[Callable[[], str]]:
    """Start a BentoML service and stop it at the end, without waiting until it answers.

    Yield a function that waits for the service and returns its address. The service runs in a new
    session: Ctrl-C reaches this process only, which then stops the service.
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
    """Ask the service to end with its workers, and kill the processes that do not end."""
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
    problem = f"was not ready within {SECONDS_TO_START} seconds"
    if (code := process.poll()) is not None:
        problem = f"ended with exit code {code} before it was ready"
    raise InputError(f"The service {problem}. The end of its output: {log.read()[-1000:]}")


def ask(address: str, content: Any = None, method: str | None = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)
