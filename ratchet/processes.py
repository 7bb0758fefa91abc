"""Functions that run in separate processes, forked from a server in which libraries are loaded.

The server and its processes end when this process ends, even if this process is killed.
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
    """Start the server and let it load these modules while this process continues.

    A terminal sends Ctrl-C to every process of a command. Only this process handles the signal, and
    it stops the others. The signal is blocked in the server and in the processes that it forks.
    """
    from multiprocessing import forkserver as server

    forkserver.set_forkserver_preload(list(modules))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class TaskError(Exception):
    """A task failed: its function raised an exception, or its process died. One line says why."""


class Task:
    """A function that runs in a separate process. Its output and warnings go to the file `log`.

    The function is given by its name, so that this process does not have to load its libraries.
    No pool is used: if this process were killed, the processes of a pool would wait forever.
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
                f"its process died with exit code {self._process.exitcode}; it may have run out of"
                " memory"
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
    for stream in (1, 2):  # libraries in C write to these descriptors, not to sys.stdout
        os.dup2(output, stream)
    module, _, function = name.rpartition(".")
    try:
        sender.send((False, getattr(import_module(module), function)(*arguments)))
    except Exception as error:
        traceback.print_exc()
        sender.send((True, one_line(error)))
