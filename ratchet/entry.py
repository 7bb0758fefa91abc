"""The command line of a step: its parameters, which MLproject declares, and its exit codes."""

import argparse
import errno
import gc
import inspect
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import InputError

MLPROJECT = Path("MLproject")
REPORTS = Path("reports")
LONGEST_MESSAGE = 300
OBJECTS_BETWEEN_COLLECTIONS = 50_000  # Python's default, 700, makes the import of libraries slower


def run(main: Callable[..., None]) -> None:
    """Run a step and set its exit code.

    0: the step did its work, whatever the verdict. 1: a bug; one line names the file that holds the
    traceback. 2: the input was wrong, or the disk is full; one line says what to do. 130: the step
    was stopped.
    """
    step = inspect.getmodule(main).__spec__.name.split(".")[-1]  # type: ignore[union-attr]
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    stop_once()
    try:
        main(**arguments(step, main, sys.argv[1:]))
    except KeyboardInterrupt:
        print(f"{step}: stopped", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        code, message = failure(step, error)
        print(f"{step}: {message}", file=sys.stderr)
        sys.exit(code)


def failure(step: str, error: Exception) -> tuple[int, str]:
    """Return the exit code and the message for the user."""
    if isinstance(error, InputError):
        return 2, str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            2,
            f"{error.filename or 'a file'} cannot be written: the disk is full; free some space",
        )
    return 1, unexpected(step, error)


def unexpected(step: str, error: Exception) -> str:
    """Write the traceback to a file; return one line that names the error and the file."""
    text = "".join(traceback.format_exception(error))
    file = REPORTS / step / "traceback.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:  # a read-only folder, or a full disk
        descriptor, name = tempfile.mkstemp(prefix=f"{step}-traceback-", suffix=".txt")
        file = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as output:
            output.write(text)
    message = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_MESSAGE]
    return f"unexpected {message}. This is a bug: please report it with the traceback in {file}"


def stop_once() -> None:
    """Let SIGTERM and SIGHUP (sent when the terminal is closed) stop a step as Ctrl-C does.

    After Ctrl-C, `mlflow run` also sends SIGTERM. After the first signal, SIGTERM does nothing,
    so that the step can close its files. It is not set to SIG_IGN: Python would print an error if
    it had arrived already.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        raise KeyboardInterrupt

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Shells and nohup let a background process ignore some signals; this stays as it is.
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, stop)


def arguments(step: str, main: Callable[..., None], argv: list[str]) -> dict[str, Any]:
    """Return the parsed arguments. MLproject has their names and defaults, `main` their types."""
    if not MLPROJECT.is_file():
        raise InputError(f"{Path.cwd()} has no MLproject; run the step in the root of the project")
    declared = yaml.safe_load(MLPROJECT.read_text())["entry_points"][step]
    parser = argparse.ArgumentParser(
        prog=f"python -m steps.{step}",
        description=declared["description"],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, parameter in declared["parameters"].items():
        default = parameter.get("default")
        parser.add_argument(
            f"--{name}", default=default, required=default is None, help=parameter["description"]
        )
    texts = vars(parser.parse_args(argv))
    types = inspect.get_annotations(main)
    return {name: _convert(name, text, types[name]) for name, text in texts.items()}


def _convert(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise InputError(f"{name}={text}: expected true or false")
        return text == "true"
    try:
        return kind(text)
    except ValueError:
        expected = "a number" if kind is float else "a whole number"
        raise InputError(f"{name}={text}: expected {expected}") from None
