"""The process that runs search.py in PyCaret's environment. It ends when this process ends.

The two processes exchange files. This process writes a request to a file, and sends the file's name
to the standard input of the search. The search appends its results to the file of candidates.
"""

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

from ratchet.automl.candidates import Candidate, Failure, SearchStatus, read_line
from ratchet.errors import InputError

SEARCH = Path(__file__).with_name("search.py")  # runs in PyCaret's environment, by its path
# How long after the budget the search may take to stop. A fit in C stops only when it is complete.
GRACE_SECONDS = 30.0


class Search:
    """The running search. It imports PyCaret at once, while this process still reads the data."""

    def __init__(self, python: Path, script: Path, reports: Path) -> None:
        self._command = [str(python), "-E", "-s", str(script.absolute())]
        self._files = TemporaryDirectory(prefix="ratchet-automl-")
        self.folder = Path(self._files.name)
        shutil.rmtree(reports, ignore_errors=True)  # the files of an earlier search
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
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kill()
        self._files.cleanup()

    def ask(self, request: Mapping[str, Any]) -> None:
        """Send the request of request.py, which starts the search."""
        files = {"candidates": str(self.candidates), "versions": str(self.versions)}
        self._request = dict(request) | files
        self._send("request.json", self._request)

    def results(self) -> Iterator[Candidate | Failure]:
        """Yield each result as soon as it is written, until the search ends.

        If the search still runs long after its budget, replace it by a new process.
        """
        end = float("inf")
        while True:
            for line in self._new_lines():
                if not isinstance(line, SearchStatus):
                    yield line
                elif line.finished:
                    return
                else:
                    end = time.monotonic() + 60 * self._request["budget_minutes"] + GRACE_SECONDS
            self._require_running()
            if time.monotonic() > end:
                self._restart_to_finalise()
                return
            time.sleep(0.05)

    def finalise(self, candidate: Candidate) -> Path:
        """Let PyCaret train the candidate on all training rows and predict the sample.

        Return the file with the predictions.
        """
        self._send(
            "winner.json", {"estimator": candidate.estimator, "params": dict(candidate.params)}
        )
        predictions = Path(self._request["predictions"])
        while self._process.poll() is None:
            time.sleep(0.02)
        self._require_running()
        return predictions

    def _start(self) -> "subprocess.Popen[bytes]":
        """Start search.py in a new session. Only this process handles Ctrl-C, and then kills it."""
        with self._log.open("w") as log:
            return subprocess.Popen(
                self._command,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _send(self, name: str, content: Mapping[str, Any]) -> None:
        """Write the content to a file and its name to the standard input of the search."""
        (self.folder / name).write_text(json.dumps(content))
        try:
            os.write(self._process.stdin.fileno(), f"{name}\n".encode())  # type: ignore[union-attr]
        except BrokenPipeError:
            self._process.wait()
            self._require_running()

    def _new_lines(self) -> Iterator[Candidate | Failure | SearchStatus]:
        """Parse and yield the lines that were written since the last call. Skip a partial line."""
        lines = self.candidates.read_text().splitlines(keepends=True)
        for number in range(self._read, len(lines)):
            if not lines[number].endswith("\n"):
                return
            self._read += 1
            yield read_line(lines[number], number + 1)

    def _restart_to_finalise(self) -> None:
        """Kill a search that does not stop, and start a process that only trains the winner."""
        self._kill()
        self._process = self._start()
        self._send("request.json", self._request | {"budget_minutes": 0})
        while SearchStatus(finished=True) not in self._new_lines():
            self._require_running()
            time.sleep(0.05)

    def _require_running(self) -> None:
        code = self._process.poll()
        if not code:
            return
        output = [line.strip() for line in self._log.read_text().splitlines() if line.strip()]
        killed = f"it was killed by signal {-code}; it may have run out of memory"
        last = output[-1] if output else "it printed nothing; the disk may be full"
        raise InputError(
            f"PyCaret's search failed: {killed if code < 0 else last}. Its output and the scored"
            f" candidates are in {self._log.parent.relative_to(Path.cwd())}"
        )

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
