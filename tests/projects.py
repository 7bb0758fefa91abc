"""Projects, processes and ports for the tests with real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ratchet.environments import ENVIRONMENTS
from tests import warm

REPOSITORY = Path(__file__).parent.parent
BASELINE = "configs/models/baseline.yaml"


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without the variables of a CI job or an outer run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "GITHUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"} | more


def new_project(folder: Path, settings: Mapping[str, Any] | None = None) -> Path:
    """Make a folder with MLproject, the shipped model configs, and these settings if given."""
    models = folder / "configs" / "models"
    models.mkdir(parents=True)
    for file in (REPOSITORY / "configs" / "models").iterdir():
        (models / file.name).write_text(file.read_text())
    shipped = (REPOSITORY / "configs" / "project.yaml").read_text()
    text = shipped if settings is None else yaml.safe_dump(dict(settings))
    (folder / "configs" / "project.yaml").write_text(text)
    link_catalogue(folder)
    return folder


def link_catalogue(folder: Path) -> None:
    if not (folder / "MLproject").exists():
        (folder / "MLproject").symlink_to(REPOSITORY / "MLproject")


def share_environments(project: Path) -> Path:
    """Link the environments to the repository's: PyCaret's and the Bento's are made only once."""
    kept = REPOSITORY / ENVIRONMENTS
    kept.mkdir(parents=True, exist_ok=True)
    (project / ENVIRONMENTS).parent.mkdir(exist_ok=True)
    (project / ENVIRONMENTS).symlink_to(kept)
    return project


def run_step(
    project: Path, step: str, env: Mapping[str, str] | None = None, **arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m steps.train --config ...` for `run_step(project, "train", config=...)`."""
    link_catalogue(project)
    words = ["-m", f"steps.{step}"]
    for name, value in arguments.items():
        words += [f"--{name}", value]
    return run_python(words, project, **(env or {}))


def run_python(arguments: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `python <arguments>` with this repository's package.

    A fork of a process that has the libraries is as good as a new process, and starts at once. A
    test that changes Python's path needs a new one.
    """
    if "PYTHONPATH" in env:
        return run([sys.executable, *arguments], folder, **env)
    return warm.run_python(arguments, folder, environment(**env))


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment(**env), capture_output=True, text=True, check=False
    )


def heed_ctrl_c() -> None:
    """Restore the handling of Ctrl-C, which a shell's background job and its children ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def clone(folder: Path, *options: str) -> Path:
    """Clone the repository's last commit, and set an author for commits of the test."""
    done = run(["git", "clone", "--quiet", *options, str(REPOSITORY), str(folder)], REPOSITORY)
    assert done.returncode == 0, done.stderr
    for key, value in {"user.name": "Test", "user.email": "test@example.com"}.items():
        run(["git", "config", key, value], folder)
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(command: list[str], folder: Path, port: int, **env: str) -> Iterator[None]:
    """Start a server and wait until its port answers; at the end, stop it and all its children."""
    import psutil

    log = folder / f"{Path(command[0]).name}-{port}.log"
    with log.open("w") as output:
        started = subprocess.Popen(
            command, cwd=folder, env=environment(**env), stdout=output, stderr=output
        )
        try:
            _wait_for(port, started, log)
            yield
        finally:
            family = psutil.Process(started.pid).children(recursive=True)
            for one in (started, *family):
                one.kill()
            started.wait()


def _wait_for(port: int, started: subprocess.Popen[bytes], log: Path, seconds: int = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and started.poll() is None:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"no server answers on port {port}:\n{log.read_text()[-3000:]}")


@contextmanager
def tracking_server(folder: Path, store: str | None = None) -> Iterator[str]:
    """Start an `mlflow server` with its artifacts in the folder."""
    port = free_port()
    command = ["mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store or f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with process(command, folder, port):
        yield f"http://localhost:{port}"
