"""The line on many unselected tables: python -m benchmarks.zoo [--tables 40] [--seed 1] [--jobs 2]

A table ends in one of two ways: it works, or one line says what is wrong. Anything else is a bug.
Each outcome is appended to the results as soon as it is known. A stopped run continues with the
tables that have no outcome there, and with those that ended in a bug.
"""

import argparse
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.zoo_line import MODEL, examine
from benchmarks.zoo_models import estimators
from benchmarks.zoo_outcome import Outcome
from benchmarks.zoo_report import print_results, read_outcomes
from benchmarks.zoo_tables import files, read_table, sample

REPOSITORY = Path(__file__).parent.parent
SECONDS_A_TABLE = 600
TABLES_A_SERVICE = 20  # one service answers so many tables, one after the other
AUTOML_TABLES = 10
AUTOML_ROWS = 1000
RESULTS = Path("reports/zoo/results.jsonl")
LOADED = (
    *("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store", "duckdb", "skops.io", "bentoml"),
    *("mlflow.store.model_registry.sqlalchemy_store", "matplotlib.backends.backend_agg"),
    *("sklearn.ensemble", "sklearn.linear_model", "scipy.stats", "git", "yaml", "lightgbm"),
    *("ratchet.training.pictures", "ratchet.training.record", "ratchet.evaluation.judge"),
    *("ratchet.serving.served_model", "ratchet.packaging.bento", "ratchet.drift.drift"),
    *("ratchet.model.preparation", "mlflow.pyfunc.scoring_server", "alembic.config", "fsspec.core"),
    *("sqlalchemy.dialects.sqlite", "pyarrow.dataset", "pyarrow.parquet", "pandas.io.formats.csvs"),
    *("mlflow.store.tracking.sqlalchemy_workspace_store", "narwhals.stable.v2", "xgboost"),
    *("mlflow.store.model_registry.sqlalchemy_workspace_store", "sklearn.neural_network"),
)
FORK = get_context("fork")


@dataclass(frozen=True)
class Job:
    table: str
    turn: int  # decides which shipped config goes through the whole line
    estimator: str
    configs: tuple[str, ...] = ()


def main() -> None:
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the services too
    if options.one:
        print(json.dumps(asdict(examine_alone(Job(options.one, options.turn, options.estimator)))))
        return
    names = sample(options.tables, options.seed)
    done = read_outcomes(options.results)
    settled = {one.table for one in done if one.ending != "bug"}
    configs = tuple(filter(None, options.configs.split(",")))
    jobs = [
        Job(name, turn, one, configs)
        for turn, (name, one) in enumerate(zip(names, estimators(len(names)), strict=True))
        if name not in settled
    ]
    print(f"{len(names)} tables, {len(names) - len(jobs)} of them examined before", flush=True)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if not options.only_automl:
        load_libraries()
        try:
            examine_all(jobs, options.jobs, options.results.absolute())
        except KeyboardInterrupt:
            sys.exit("stopped; the same command continues")
    for name in sample(options.automl, options.seed) if options.automl else ():
        if f"automl {name}" not in settled:
            append(options.results, automl(name))
    print_results([one for one in read_outcomes(options.results) if is_of(one, names)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=0, help="a sample of so many; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="tables at the same time")
    parser.add_argument("--automl", type=int, default=AUTOML_TABLES, help="tables for AutoML")
    parser.add_argument("--only-automl", action="store_true", help="leave out the rest of the line")
    parser.add_argument("--results", type=Path, default=RESULTS, help="outcomes, one a line")
    parser.add_argument("--configs", default="", help="only these shipped configs, with commas")
    parser.add_argument("--one", default="", help="examine this table here, and print its outcome")
    parser.add_argument("--estimator", default="LogisticRegression", help="one more for --one")
    parser.add_argument("--turn", type=int, default=0, help="the number of a shipped config")
    return parser.parse_args()


def is_of(outcome: Outcome, names: Sequence[str]) -> bool:
    return outcome.table.removeprefix("automl ") in names


def append(results: Path, outcome: Outcome) -> None:
    with results.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def load_libraries() -> None:
    """Load what the line needs, and the tables, before the processes of the tables are forked."""
    from threadpoolctl import threadpool_limits

    for module in LOADED:
        import_module(module)
    threadpool_limits(1)  # as in training and in the service
    files()
    gc.freeze()


def examine_all(jobs: Sequence[Job], processes: int, results: Path) -> None:
    starts = range(0, len(jobs), TABLES_A_SERVICE)
    batches = [jobs[start : start + TABLES_A_SERVICE] for start in starts]
    running: list[Any] = []
    try:
        while batches or running:
            while batches and len(running) < processes:
                process = FORK.Process(target=examine_batch, args=(batches.pop(0), results))
                process.start()
                running.append(process)
            wait([process.sentinel for process in running])
            running = [process for process in running if process.is_alive()]
    finally:
        for process in running:
            process.terminate()
            process.join()


def examine_batch(jobs: Sequence[Job], results: Path) -> None:
    """Examine some tables, each in a process of its own, which may die or take too long alone."""
    with workspace() as folder, service_of(folder) as address:
        for number, job in enumerate(jobs):
            process = FORK.Process(target=examine_here, args=(job, folder, address, number == 0))
            process.start()
            try:
                process.join(SECONDS_A_TABLE)
            finally:
                process.kill()
            outcome = read_outcome(job.table, process, folder / "outcome.json")
            append(results, outcome)
            print(f"{outcome.ending:8} {outcome.seconds:5.1f} s  {outcome.table}", flush=True)


@contextmanager
def workspace() -> Iterator[Path]:
    """Make a project for the tables of one service."""
    with TemporaryDirectory(prefix="ratchet-zoo-") as name:
        folder = Path(name)
        settings = {"model": MODEL, "data": {"source": "table.csv", "target": "y"}}
        write_project(folder, settings | {"ab": {"split": 0.5}})
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.environ["BENTOML_HOME"] = f"{folder}/bentoml"
        yield folder
        os.chdir(REPOSITORY)


def write_project(folder: Path, settings: dict[str, Any]) -> None:
    from ratchet.environments import ENVIRONMENTS

    (folder / "configs").mkdir()
    (folder / "configs/project.yaml").write_text(json.dumps(settings))  # JSON is YAML
    for file in ("MLproject", "requirements.txt", "requirements-automl.txt"):
        shutil.copy(REPOSITORY / file, folder)
    (folder / ENVIRONMENTS).parent.mkdir(parents=True)
    (folder / ENVIRONMENTS).symlink_to(REPOSITORY / ENVIRONMENTS)


@contextmanager
def service_of(folder: Path) -> Iterator[str]:
    """Start the A/B service on the folder's store; it follows the aliases of every table."""
    from ratchet.packaging.running import served

    first = FORK.Process(target=make_first_version)
    first.start()
    first.join()
    env = os.environ | {
        "RATCHET_LOG_URL": f"sqlite:///{folder}/predictions.db",
        "RATCHET_MODELS": str(folder / "models"),
    }
    with served("bentos.service:service", Path(sys.executable), folder, env) as address:
        yield address


def make_first_version() -> None:
    """Create the store and a version that is prod, because no service is ready without one."""
    outcome = examine("sklearn/iris", 0, "DummyClassifier", ("baseline",))
    assert outcome.ending == "works", outcome.reason


def examine_here(job: Job, folder: Path, service: str, packs: bool) -> None:
    outcome = examine(job.table, job.turn, job.estimator, job.configs, service, packs)
    outcome.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    (folder / "outcome.json").write_text(json.dumps(asdict(outcome)))


def examine_alone(job: Job) -> Outcome:
    """Examine a table in this process, without a service."""
    with workspace():
        return examine(job.table, job.turn, job.estimator, job.configs)


def read_outcome(table: str, process: Any, file: Path) -> Outcome:
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return Outcome(table, "bug", f"was killed: out of memory, or after {SECONDS_A_TABLE} s")
    if process.exitcode or not file.exists():
        return Outcome(table, "bug", f"its process ended with exit code {process.exitcode}")
    outcome = Outcome(**json.loads(file.read_text()))
    file.unlink()
    return outcome


def automl(name: str) -> Outcome:
    """Run the automl step on a table, with a small budget."""
    outcome = Outcome(f"automl {name}")
    with TemporaryDirectory(prefix="ratchet-zoo-") as folder:
        project = Path(folder)
        frame, outcome.target = read_table(name, AUTOML_ROWS)
        outcome.rows, outcome.columns = frame.shape
        frame.to_csv(project / "table.csv", index=False)
        search = {"budget_minutes": 0.5, "folds": 3, "n_select": 1, "tune_iterations": 0}
        data = {"source": "table.csv", "target": outcome.target}
        write_project(project, {"model": MODEL, "data": data, "automl": search})
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "steps.automl"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        outcome.seconds = time.monotonic() - began
    if done.returncode == 2 and done.stderr.count("\n") == 1:
        outcome.ending, outcome.reason = "refused", done.stderr.strip()
    elif done.returncode:
        outcome.ending, outcome.reason = "bug", done.stderr[-500:]
    else:
        outcome.reason = done.stdout.strip().splitlines()[-1]
    print(f"{outcome.ending:8} {outcome.seconds:5.1f} s  {outcome.table}", flush=True)
    return outcome


if __name__ == "__main__":
    main()
