"""The service compared with four other ways to serve a model: python -m benchmarks.serving

All servers run at the same time and are measured in turn, round after round, so that other work on
the machine affects each of them. One worker each, Iris, a logistic regression, 16 connections.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from benchmarks.load import Load, wrk
from ratchet.environments import python_of
from ratchet.report import print_table

REPOSITORY = Path(__file__).parent.parent
ROUNDS, SECONDS, CONNECTIONS = 5, 4, 16
ROWS_A_REQUEST = 1000
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
ROW = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
ONE = f'{{"user_id":"u%d","features":{ROW}}}'
SCORED = f'{{"dataframe_records":[{ROW}]}}'

FLASK = "gunicorn --workers 1 --threads 4 --bind 127.0.0.1:4103 benchmarks.peers.flask_router:app"
BENTOML = "bentoml serve benchmarks.peers.bare_bentoml:Bare --host 127.0.0.1 --port 4105"
FASTAPI = "uvicorn --port 4106 --no-access-log benchmarks.peers.fast_api:app"

AT_LEAST = {"bentoml": 3.0, "flask": 4.0, "mlflow": 6.0, "fastapi": 0.9}  # times their requests/s
MOST_OF_FASTAPIS_P99 = 2.0
LEAST_ROWS_A_SECOND = 100_000
LEAST_OF_TWO_WORKERS = 1.6  # if there are cores for two workers and for the client
CORES_FOR_TWO = 4


@dataclass(frozen=True)
class Server:
    port: int
    path: str
    body: str
    process: "subprocess.Popen[bytes]"


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("serving: wrk is not installed; apt-get install wrk")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        project = make_project(Path(folder))
        servers = {name: stack.enter_context(one) for name, one in peers(project).items()}
        servers["ratchet"] = stack.enter_context(ours(project, 4101, workers=1))
        loads = in_turns(servers)
        alone = servers["ratchet"]
        many = load(alone, connections=200)
        rows = [load(alone, connections=4, body=many_rows()) for _ in range(3)]
        memory = megabytes(alone)
        with ours(project, 4102, workers=2) as two:
            both = [(load(two).requests_a_second, load(alone).requests_a_second) for _ in range(3)]
    result = figures(loads, many, rows, memory, median(a / b for a, b in both))
    print_table(table(loads))
    print_table([{"figure": key, "value": str(value)} for key, value in result.items()])
    print(json.dumps(result))


def make_project(folder: Path) -> Path:
    """Make a project with a logistic regression as prod and another one as staging."""
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    other = {"estimator": "LogisticRegression", "params": {"C": 0.5, "max_iter": 1000}}
    (folder / "configs/models/other.json").write_text(json.dumps(other))
    for name in ("MLproject", "requirements.txt"):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    for config in ("baseline.yaml", "other.json"):
        step(folder, "train", "--config", f"configs/models/{config}")
        step(folder, "evaluate")
    return folder


def step(project: Path, name: str, *arguments: str) -> None:
    env = environment(project)
    defaults = {"train": ["--force", "false", "--jobs", "1", "--watch", "false"]}
    more = defaults.get(name, ["--version", "ungated", "--force", "false"])
    command = [sys.executable, "-m", f"steps.{name}", *arguments, *more]
    subprocess.run(command, cwd=project, env=env, check=True, capture_output=True)


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RATCHET_"))}
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return kept | quiet | {"PEER_FOLDER": str(folder)} | more


def peers(folder: Path) -> Mapping[str, AbstractContextManager[Server]]:
    python = {
        name: python_of(REPOSITORY / f"benchmarks/requirements-{name}.txt")
        for name in ("bentoml", "fastapi", "mlflow")
    }
    subprocess.run(
        [str(python["mlflow"]), "-m", "benchmarks.peers.mlflow_models", str(folder)],
        cwd=REPOSITORY,
        env=environment(folder),
        check=True,
        capture_output=True,
    )
    mlflow = (
        f"mlflow models serve --model-uri {folder}/A --port 4104 --env-manager local --workers 1"
    )
    servers = {
        "flask": (python["mlflow"], 4103, "/predict", ONE, FLASK),
        "mlflow": (python["mlflow"], 4104, "/invocations", SCORED, mlflow),
        "bentoml": (python["bentoml"], 4105, "/predict", ONE, BENTOML),
        "fastapi": (python["fastapi"], 4106, "/predict", ONE, FASTAPI),
    }
    return {
        name: served(folder, interpreter, port, path, body, *command.split())
        for name, (interpreter, port, path, body, command) in servers.items()
    }


@contextmanager
def ours(project: Path, port: int, workers: int) -> Iterator[Server]:
    log = f"sqlite:///{project}/predictions-{port}.db"
    more = {"RATCHET_LOG_URL": log, "RATCHET_WORKERS": str(workers)}
    command = ["bentoml", "serve", "bentos.service:service", "--port", str(port)]
    with served(project, Path(sys.executable), port, "/predict", ONE, *command, **more) as server:
        wait_for(f"http://127.0.0.1:{port}/readyz", server.process)
        time.sleep(3)  # every worker has loaded the same versions as the first one
        yield server


@contextmanager
def served(
    folder: Path, python: Path, port: int, path: str, body: str, *command: str, **more: str
) -> Iterator[Server]:
    search = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(folder, PATH=search, **more)
    ours = python == Path(sys.executable)  # a peer's environment lacks our package
    with (folder / f"{port}.log").open("w") as log:
        process = subprocess.Popen(
            [str(python.parent / command[0]), *command[1:]],
            cwd=folder if ours else REPOSITORY,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}{path}", process, (folder / f"{port}.log"))
        yield Server(port, path, body, process)
    finally:
        for one in family(process):
            one.terminate()
        process.wait(30)


def family(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path | None = None) -> None:
    """Wait until the server answers, if only with a 405 because it takes no GET."""
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code == 405:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise RuntimeError(f"{address} does not answer: {log.read_text()[-2000:] if log else ''}")


def in_turns(servers: Mapping[str, Server]) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for server in servers.values():
        load(server, seconds=2)
    for _ in range(ROUNDS):
        for name, server in servers.items():
            loads[name].append(load(server))
    return loads


def load(
    server: Server, connections: int = CONNECTIONS, body: str = "", seconds: int = SECONDS
) -> Load:
    return wrk(server.port, server.path, body or server.body, connections, seconds)


def many_rows() -> str:
    """Return rows of different users with different values, so that no row's work can be reused."""
    rng = np.random.default_rng(0)
    rows = [
        dict(zip(FEATURES, row, strict=True))
        for row in rng.uniform(0.1, 8, (ROWS_A_REQUEST, 4)).round(1).tolist()
    ]
    return json.dumps([{"user_id": f"u{i}", "features": row} for i, row in enumerate(rows)])


def megabytes(server: Server) -> dict[str, float]:
    """Return the memory of the worker, and of the follower that all workers share."""
    sizes = {"worker": 0.0, "follower": 0.0}
    for one in family(server.process):
        command = " ".join(one.cmdline())
        for name, part in {"worker": "worker.service", "follower": "serving.following"}.items():
            if part in command:
                sizes[name] = round(one.memory_info().rss / 1e6)
    return sizes


def table(loads: Mapping[str, Sequence[Load]]) -> list[dict[str, object]]:
    own = loads["ratchet"]
    return [
        {
            "server": name,
            "requests/s": round(median(one.requests_a_second for one in runs)),
            "p99 ms": round(median(one.p99_ms for one in runs), 1),
            "ratchet is, times": round(times(own, runs), 2),
            "at least": AT_LEAST.get(name),
        }
        for name, runs in loads.items()
    ]


def times(own: Sequence[Load], other: Sequence[Load]) -> float:
    """Return the median of the rounds' ratios."""
    pairs = zip(own, other, strict=True)
    return median(a.requests_a_second / b.requests_a_second for a, b in pairs)


def figures(
    loads: Mapping[str, Sequence[Load]],
    many: Load,
    rows: Sequence[Load],
    memory: Mapping[str, float],
    two_workers: float,
) -> dict[str, object]:
    own = loads["ratchet"]
    ratios = {name: round(times(own, loads[name]), 2) for name in AT_LEAST}
    p99 = median(a.p99_ms / b.p99_ms for a, b in zip(own, loads["fastapi"], strict=True))
    rows_a_second = median(one.requests_a_second for one in rows) * ROWS_A_REQUEST
    cores = os.cpu_count() or 1
    holds = {
        **{name: ratio >= AT_LEAST[name] for name, ratio in ratios.items()},
        "p99": p99 <= MOST_OF_FASTAPIS_P99,
        "rows": rows_a_second >= LEAST_ROWS_A_SECOND,
        "failed": not any(one.failed for one in (*own, *rows, many)),
        "workers": cores < CORES_FOR_TWO or two_workers >= LEAST_OF_TWO_WORKERS,
    }
    return {
        "times_requests_a_second": ratios,
        "at_least": AT_LEAST,
        "p99_of_fastapis": round(p99, 2),
        "p99_at_most": MOST_OF_FASTAPIS_P99,
        "rows_a_second": round(rows_a_second),
        "rows_at_least": LEAST_ROWS_A_SECOND,
        "failed_with_200_connections": many.failed,
        "two_workers_times_one": round(two_workers, 2),
        "two_workers_at_least": LEAST_OF_TWO_WORKERS if cores >= CORES_FOR_TWO else None,
        "cores": cores,
        "megabytes": dict(memory),
        "missed": [name for name, is_met in holds.items() if not is_met],
        "holds": all(holds.values()),
    }


if __name__ == "__main__":
    main()
