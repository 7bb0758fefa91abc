"""A process that has loaded the libraries of the steps, and forks for each command of a test.

A step spends three to five seconds of processor time on imports. A fork has loaded them already. It
is a normal process with its own folder, environment, output and exit code.
"""

import atexit
import json
import logging
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.empty_store import copy_tables
from tests.forking import read_all, run_in_fork

SHARED = "RATCHET_TESTS_FORKING"  # the address, in the environment of the workers
SECONDS_TO_LOAD = 600
LOADED = (
    "mlflow",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "duckdb",
    "rich.progress",
    "skops.io",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "sklearn.pipeline",
    "sklearn.linear_model",
    "scipy.stats",
    "git",
    "jinja2",
    "narwhals",
    "mlflow.pyfunc.scoring_server",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
)


def run_python(
    arguments: list[str], folder: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Return what `python <arguments>` (-m module or -c script) leaves in that folder."""
    return run_in_fork(address(), arguments, folder, env)


@cache
def address() -> str:
    """Return where the process listens. The workers of a test run share one; else it starts now."""
    if not (shared := os.environ.get(SHARED)):
        shared, end = start()
        atexit.register(end)
    limit = time.monotonic() + SECONDS_TO_LOAD
    while not Path(shared).exists():
        assert time.monotonic() < limit, "the process that forks has not started"
        time.sleep(0.05)
    return shared


def start() -> tuple[str, Callable[[], None]]:
    """Start the process; return where it will listen, and a function that ends it."""
    folder = TemporaryDirectory()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", f"{folder.name}/socket"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        | {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"},
    )

    def end() -> None:
        server.kill()
        server.wait()
        folder.cleanup()

    return f"{folder.name}/socket", end


def _next_command(address: str) -> list[str]:
    """Listen; return, in a fork, the arguments of each command. End when the tests have ended."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen(64)
        Path(f"{address}.new").rename(address)  # whoever sees it can connect
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks that have ended are not zombies
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                sys.exit()
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    arguments, folder, env, out, err = json.loads(read_all(connection))
    command = os.fork()
    if command:
        _, status = os.waitpid(command, 0)
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    _become(folder, env, out, err)
    return list(arguments)


def _become(folder: str, env: dict[str, str], out: str, err: str) -> None:
    """Take over what a new process would have been started with."""
    for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = folder


def _main() -> None:
    for module in LOADED:
        import_module(module)
    logging.disable(logging.INFO)
    copy_tables()()
    logging.disable(logging.NOTSET)
    how, what, *rest = _next_command(sys.argv[1])
    sys.argv = [what if how == "-m" else how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


if __name__ == "__main__":
    _main()
