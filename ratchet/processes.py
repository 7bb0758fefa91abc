"""Functions that run in processes of their own, forked from a server that has loaded libraries.

The server and the processes end when this process ends, even if it is killed.
"""

import multiprocessing
import os
import signal
import traceback
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ratchet.errors import one_line

forkserver = multiprocessing.get_context("forkserver")


def warm_up(*modules: str) -> None:
    """Start the server and let it load these modules while this process goes on.

    A terminal sends Ctrl-C to every process of a command. Only this process handles it, and stops
    the others; the signal is blocked in the server and in all that it forks.
    """
    from multiprocessing import forkserver as server

    forkserver.set_forkserver_preload(list(modules))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class TaskError(Exception):
    """The function raised an exception, or its process died; the message is one line."""


class Task:
    """A function in a process of its own; what it prints and warns goes to the file `log`.

    The function is named by a string, so that this process need not load its libraries. There is
    no pool: a pool's process would wait for work forever if this process were killed.
    """

    def __init__(self, name: str, *arguments: Any, log: Path = Path(os.devnull)) -> None:
        self.ready, sender = forkserver.Pipe(duplex=False)
        self._process = forkserver.Process(
            target=_run, args=(sender, log, name, arguments), name=name, daemon=True
        )
        self._process.start()
        sender.close()

    def result(self) -> Any:
        """Wait for the function and return its result; raise TaskError if it failed."""
        try:
            failed, value = self.ready.recv()
        except EOFError:
            self._process.join()
            raise TaskError(
                f"its process died (exit code {self._process.exitcode}); out of memory?"
            ) from None
        except Exception as error:  # the result cannot be unpickled
            raise TaskError(one_line(error)) from None
        self._process.join()
        if failed:
            raise TaskError(value)
        return value

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def _run(sender: "Connection[Any, Any]", log: Path, name: str, arguments: Any) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):  # libraries in C write to these, past sys.stdout and sys.stderr
        os.dup2(output, stream)
    module, _, function = name.rpartition(".")
    try:
        sender.send((False, getattr(import_module(module), function)(*arguments)))
    except Exception as error:
        traceback.print_exc()
        sender.send((True, one_line(error)))
