"""The search, as a process in PyCaret's environment. It ends with this one, however that ends."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from ratchet.automl.candidates import Candidate, Failure, Searched, read_line
from ratchet.errors import InputError

SEARCH = Path(__file__).with_name("search.py")  # runs in PyCaret's environment, by its path
GRACE = 30.0  # seconds for a fit to hear of the budget's end: one in C hears nothing until it ends


class Search:
    """Started at once: PyCaret is imported while this process reads the data."""

    def __init__(self, python: Path, script: Path, reports: Path) -> None:
        self._command = [str(python), "-E", "-s", str(script.absolute())]
        self._files = TemporaryDirectory(prefix="ratchet-automl-")
        self.folder = Path(self._files.name)
        shutil.rmtree(reports, ignore_errors=True)  # what an earlier search left
        reports.mkdir(parents=True)
        self.candidates = (reports / "candidates.jsonl").absolute()
        self.versions = (reports / "environment.json").absolute()
        self._log = (reports / "pycaret.log").absolute()
        self._read = 0
        self.candidates.write_text("")
        self._process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._kill()
        self._files.cleanup()

    def ask(self, request: Mapping[str, Any]) -> None:
        self._request = dict(request) | {
            "candidates": str(self.candidates), "versions": str(self.versions),
        }  # fmt: skip
        self._say("request.json", self._request)

    def found(self) -> Iterator[Candidate | Failure]:
        """As they come, until all are scored or the budget is spent."""
        end = float("inf")
        while True:
            for what in self._news():
                if not isinstance(what, Searched):
                    yield what
                elif what.over:
                    return
                else:
                    end = time.monotonic() + 60 * self._request["budget_minutes"] + GRACE
            self._require_life()
            if time.monotonic() > end:
                self._again()
                return
            time.sleep(0.05)

    def finalise(self, candidate: Candidate) -> Path:
        """PyCaret's predictions on the sample."""
        self._say(
            "winner.json", {"estimator": candidate.estimator, "params": dict(candidate.params)}
        )
        predictions = Path(self._request["predictions"])
        while self._process.poll() is None:
            time.sleep(0.02)
        self._require_life()
        return predictions

    def _start(self) -> "subprocess.Popen[bytes]":
        """In a session of its own: Ctrl-C is this process' to hear, and its workers go with it."""
        with self._log.open("w") as log:
            return subprocess.Popen(
                self._command, cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _say(self, name: str, content: Mapping[str, Any]) -> None:
        """The name of a file, whose content is what is said."""
        (self.folder / name).write_text(json.dumps(content))
        try:
            os.write(self._process.stdin.fileno(), f"{name}\n".encode())  # type: ignore[union-attr]
        except BrokenPipeError:
            self._process.wait()
            self._require_life()

    def _news(self) -> Iterator[Candidate | Failure | Searched]:
        """The lines that are whole."""
        lines = self.candidates.read_text().splitlines(keepends=True)
        for number in range(self._read, len(lines)):
            if not lines[number].endswith("\n"):
                return
            self._read += 1
            yield read_line(lines[number], number + 1)

    def _again(self) -> None:
        """Without a search: to finalise what the search that heard nothing had found."""
        self._kill()
        self._process = self._start()
        self._say("request.json", self._request | {"budget_minutes": 0})
        while Searched(over=True) not in self._news():
            self._require_life()
            time.sleep(0.05)

    def _require_life(self) -> None:
        code = self._process.poll()
        if not code:
            return
        said = [line.strip() for line in self._log.read_text().splitlines() if line.strip()]
        killed = f"it was killed (signal {-code}); out of memory?"
        why = killed if code < 0 else said[-1] if said else "it left no word; is the disk full?"
        raise InputError(
            f"PyCaret's search failed: {why}. What it said and what it had scored are in"
            f" {self._log.parent.relative_to(Path.cwd())}"
        )

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
