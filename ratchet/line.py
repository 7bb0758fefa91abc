"""The steps of the whole line, in order, on this machine."""

import os
import runpy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile

from ratchet.errors import InputError, nearest
from ratchet.processes import forkserver, warm_up
from ratchet.registry.tracking import LINE_RUN

STAGES = (
    "train", "evaluate", "package", "traffic", "drift", "automl", "gate", "test", "promote",
    "rollback", "history",
)  # fmt: skip
LOADED = (
    "mlflow", "mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store", "duckdb", "rich.progress", "skops.io",
    "ratchet.training.pictures", "ratchet.training.train", "ratchet.model.preparation",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    name: str
    seconds: float
    outputs: dict[str, str]

    def row(self) -> dict[str, str]:
        said = ", ".join(f"{key}={value}" for key, value in self.outputs.items())
        return {"stage": self.name, "seconds": f"{self.seconds:.1f}", "outcome": said}


def load() -> None:
    """What the steps need, while the line itself begins."""
    warm_up(*LOADED)


def require_stage(until: str) -> None:
    if until not in (*STAGES, "all"):
        raise InputError(f"until={until} is no stage; {nearest(until, (*STAGES, 'all'))}")


class Finished(Exception):  # noqa: N818 - it is no error
    """The stage at which the line was to end is over."""


@dataclass
class Line:
    """Each stage is a process of its own, forked from one that has loaded the libraries already."""

    run_id: str
    until: str
    stages: list[Stage] = field(default_factory=list)

    def step(self, stage: str, entry: str, **arguments: str) -> dict[str, str]:
        """What the step has to say to whoever comes next: its outputs."""
        argv = [word for name, value in arguments.items() for word in (f"--{name}", value)]
        with self.stage(stage) as outputs, NamedTemporaryFile("r") as said:
            more = {LINE_RUN: self.run_id, "GITHUB_OUTPUT": said.name}
            running = forkserver.Process(target=_run, args=(entry, argv, {**os.environ, **more}))
            running.start()
            try:
                running.join()
            finally:
                running.terminate()
                running.join()
            if running.exitcode:
                raise InputError(f"the step '{entry}' failed; its message stands above")
            values = said.read().partition("report<<")[0]  # the last is the report itself
            pairs = (line.partition("=") for line in values.splitlines())
            outputs.update({key: value for key, _, value in pairs})
        return outputs

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, str]]:
        print(f"\n== {name}", flush=True)
        outputs: dict[str, str] = {}
        began = time.monotonic()
        yield outputs
        self.stages.append(Stage(name, time.monotonic() - began, outputs))
        if name == self.until:
            raise Finished


def _run(entry: str, argv: list[str], env: dict[str, str]) -> None:
    """What `python -m steps.<entry>` does, with what is loaded here.

    In a session of its own: Ctrl-C is the line's to hear, which then stops the step, once.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.environ.pop("MLFLOW_RUN_ID", None)  # it is the line's own
    sys.argv = [entry, *argv]
    runpy.run_module(f"steps.{entry}", run_name="__main__", alter_sys=True)
