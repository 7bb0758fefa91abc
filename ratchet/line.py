"""A sequence of steps. Each runs in a child process in which the libraries are loaded already."""

import os
import runpy
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile

from ratchet.errors import InputError
from ratchet.processes import forkserver, warm_up

LIBRARIES = (
    "mlflow",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "duckdb",
    "rich.progress",
    "skops.io",
    "ratchet.training.pictures",
    "ratchet.training.train",
    "ratchet.model.preparation",
)


@dataclass(frozen=True)
class Stage:
    name: str
    seconds: float
    outputs: dict[str, str]

    def row(self) -> dict[str, str]:
        outcome = ", ".join(f"{key}={value}" for key, value in self.outputs.items())
        return {"stage": self.name, "seconds": f"{self.seconds:.1f}", "outcome": outcome}


def load_libraries() -> None:
    """Load the libraries of the steps in the background."""
    warm_up(*LIBRARIES)


class LastStage(Exception):  # noqa: N818 - not an error
    """The signal that the last stage that was asked for is complete."""


@dataclass
class Line:
    until: str  # the name of the last stage
    env: Mapping[str, str] = field(default_factory=dict)  # for every step
    stages: list[Stage] = field(default_factory=list)

    def run(
        self, stage: str, module: str, env: Mapping[str, str] = {}, **arguments: str
    ) -> dict[str, str]:
        """Run `python -m <module> --name value ...` and return the outputs of the step."""
        argv = [word for name, value in arguments.items() for word in (f"--{name}", value)]
        with self._stage(stage) as outputs, NamedTemporaryFile("r") as written:
            more = {**self.env, **env, "GITHUB_OUTPUT": written.name}
            child = forkserver.Process(target=_run, args=(module, argv, {**os.environ, **more}))
            child.start()
            try:
                child.join()
            finally:
                child.terminate()
                child.join()
            if child.exitcode:
                raise InputError(f"the stage '{stage}' failed; see its message above")
            values = written.read().partition("report<<")[0]  # the report itself comes last
            pairs = (line.partition("=") for line in values.splitlines())
            outputs.update({key: value for key, _, value in pairs})
        return outputs

    @contextmanager
    def _stage(self, name: str) -> Iterator[dict[str, str]]:
        print(f"\n== {name}", flush=True)
        outputs: dict[str, str] = {}
        began = time.monotonic()
        yield outputs
        self.stages.append(Stage(name, time.monotonic() - began, outputs))
        if name == self.until:
            raise LastStage


def _run(module: str, argv: list[str], env: dict[str, str]) -> None:
    """Do what `python -m <module>` does, in a process in which the libraries are loaded already.

    The step runs in a new session. Ctrl-C therefore reaches the line only, which stops the step.
    """
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.clear()
    os.environ.update(env)
    os.environ.pop("MLFLOW_RUN_ID", None)  # it names the line's run; the step starts its own
    sys.argv = [module, *argv]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # SIGTERM after the step itself had ended
        sys.exit(130)
