"""A step's command line: what MLproject declares for it, and nothing else."""

import argparse
import errno
import gc
import inspect
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import InputError

MLPROJECT = Path("MLproject")
OBJECTS_BETWEEN_COLLECTIONS = 50_000  # Python's 700 collects again and again while libraries load


def run(main: Callable[..., None]) -> None:
    """Exit 0: it did its work, whatever the verdict. Exit 2: the input was wrong, in one line."""
    step = inspect.getmodule(main).__spec__.name.split(".")[-1]  # type: ignore[union-attr]
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    stop_once()
    try:
        main(**arguments(step, main, sys.argv[1:]))
    except InputError as error:
        print(f"{step}: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"{step}: {error.filename or 'a file'}: the disk is full; make room", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{step}: stopped", file=sys.stderr)
        sys.exit(130)


def stop_once() -> None:
    """SIGTERM, and a terminal that is closed, stop a step as Ctrl-C does: in order.

    `mlflow run` sends SIGTERM after Ctrl-C; what is being closed by then is closed to the end.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:  # as in the background, or under nohup
            signal.signal(one, stop)


def arguments(step: str, main: Callable[..., None], argv: list[str]) -> dict[str, Any]:
    """Names and defaults from MLproject, types from the function that takes them."""
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
    given = vars(parser.parse_args(argv))
    types = inspect.get_annotations(main)
    return {name: _convert(name, text, types[name]) for name, text in given.items()}


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
