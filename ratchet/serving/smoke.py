"""A built Bento, served in an environment made from its own lock alone, asked once per arm."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.serving.assignment import arm_of

SECONDS_TO_START = 120


def ask_each_arm(bento: Path) -> dict[str, dict[str, Any]]:
    """Arm -> its answer to the model's own example."""
    python = python_of(bento / "src" / "bentos" / "requirements.txt")
    with TemporaryDirectory() as folder, _served(bento, python, Path(folder)) as address:
        status = _json(f"{address}/status")
        request = _json(f"{address}/docs.json")["paths"]["/predict"]["post"]["requestBody"]
        example = request["content"]["application/json"]["example"]
        staging = (status["staging"] or {}).get("version")
        split = status["split"]["ab_split_b"]
        arms = ["A", "B"] if staging and split > 0 else ["A"]
        users = (f"user-{n}" for n in range(1_000_000))
        asked = {arm: next(u for u in users if arm_of(u, staging, split) == arm) for arm in arms}
        return {
            arm: _checked(_json(f"{address}/predict", example | {"user_id": user}), arm)
            for arm, user in asked.items()
        }


def _checked(answer: dict[str, Any], arm: str) -> dict[str, Any]:
    if answer["variant"] != arm or answer["fallback"]:
        raise InputError(f"the Bento answered {answer} where arm {arm} was asked")
    return answer


@contextmanager
def _served(bento: Path, python: Path, folder: Path) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    log = (folder / "service.log").open("w+")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RATCHET_", "PYTHON"))}
    env = kept | {
        "RATCHET_LOG_URL": f"sqlite:///{folder}/predictions.db",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOST": "127.0.0.1",
        "PATH": f"{python.parent}{os.pathsep}{kept.get('PATH', '')}",
    }
    command = [str(python), "-m", "bentoml", "serve", str(bento), "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def _wait_until_ready(address: str, process: "subprocess.Popen[bytes]", log: Any) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            _json(f"{address}/readyz")
        except OSError:
            time.sleep(0.2)
        else:
            return
    log.seek(0)
    raise InputError(f"the Bento did not get ready: {log.read()[-1000:]}")


def _json(address: str, content: Any = None) -> Any:
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)
