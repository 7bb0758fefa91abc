"""Running services, and the project whose models they serve."""

import atexit
import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil

from ratchet.store.database import relocate
from tests.projects import environment, free_port, new_project, run_python, run_step

TOKEN = "a-token-of-the-tests"
FEATURES = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
ALIASES = """
import sys
from ratchet.registry.registry import Registry
from ratchet.registry.tracking import connect
to = dict(pair.split("=") for pair in sys.argv[1:])
Registry(connect(), "iris").move({a: v or None for a, v in to.items()}, "a test", "none")
"""


@dataclass(frozen=True)
class Service:
    address: str
    process: "subprocess.Popen[bytes]"

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        return self._ask("GET", path, None, token)

    def post(self, path: str, content: Any, token: str | None = None) -> tuple[int, Any]:
        return self._ask("POST", path, json.dumps(content).encode(), token)

    def put(self, path: str, content: Any, token: str | None = TOKEN) -> tuple[int, Any]:
        return self._ask("PUT", path, json.dumps(content).encode(), token)

    def send(self, path: str, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
        return self._ask("POST", path, body, None, kind)

    def predict(self, user: str, **features: Any) -> tuple[int, Any]:
        return self.post("/predict", {"user_id": user, "features": FEATURES | features})

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        token: str | None,
        kind: str = "application/json",
    ) -> tuple[int, Any]:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return response.status, _content(response)
        except urllib.error.HTTPError as error:
            return error.code, _content(error)

    def until(self, true: Any, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.get("/status")
            time.sleep(0.1)

    def workers(self) -> list[psutil.Process]:
        return self._running("_bentoml_impl.worker.service")

    def followers(self) -> list[psutil.Process]:
        return self._running("ratchet.serving.following")

    def _running(self, module: str) -> list[psutil.Process]:
        processes = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it may end at any time
                if module in one.cmdline():
                    processes.append(one)
        return processes


def _content(response: Any) -> Any:
    body = response.read()
    is_json = response.headers.get_content_type() == "application/json"
    return json.loads(body) if is_json else body.decode()


def iris_project(folder: Path) -> Path:
    """Return a project whose prod is version 1 and staging version 2, both logistic regressions."""
    trained = _trained_iris()
    shutil.copytree(trained, folder, symlinks=True, dirs_exist_ok=True)
    for root in ("file://{}", "{}"):
        relocate(folder / "mlflow.db", root.format(trained), root.format(folder))
    return folder


@cache
def _trained_iris() -> Path:
    """Train once per test worker; each test module has a copy of its own."""
    folder = Path(mkdtemp(prefix="trained-iris-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = new_project(folder)
    other = {"estimator": "LogisticRegression", "params": {"C": 0.1, "max_iter": 1000}}
    (project / "configs/models/other.json").write_text(json.dumps(other))
    train(project, "baseline.yaml")
    train(project, "other.json")
    move(project, prod="1", staging="2")
    return project


def train(project: Path, config: str) -> None:
    done = run_step(project, "train", config=f"configs/models/{config}")
    assert done.returncode == 0, done.stderr


def move(project: Path, **aliases: str) -> None:
    done = run_python(["-c", ALIASES, *(f"{a}={v}" for a, v in aliases.items())], project)
    assert done.returncode == 0, done.stderr


@contextmanager
def serving(project: Path, state: Path, ready: bool = True, **env: str) -> Iterator[Service]:
    """Start a service of that project, with its own log and models in the folder `state`."""
    port = free_port()
    settings = {
        "RATCHET_ADMIN_TOKEN": TOKEN,
        "RATCHET_LOG_URL": f"sqlite:///{state}/predictions.db",
        "RATCHET_MODELS": str(state / "models"),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(
            state / "bentoml"
        ),  # in a shared folder, each service that starts would clear /metrics
    }
    command = ["bentoml", "serve", "bentos.service:service", "--port", str(port)]
    with (state / "service.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=project, env=environment(**settings | env), stdout=log, stderr=log
        )
    service = Service(f"http://127.0.0.1:{port}", process)
    try:
        if ready:
            wait_until_ready(service, state / "service.log")
        yield service
    finally:
        stop(process)


def wait_until_ready(service: Service, log: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and service.process.poll() is None:
        try:
            if service.get("/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the service is not ready:\n{log.read_text()[-3000:]}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            one.kill()
    process.kill()
    process.wait()
