"""Child processes forked from a server that has loaded the libraries already.

The server ends together with this process.
"""

import multiprocessing
from importlib import import_module
from multiprocessing.process import BaseProcess
from typing import Any

forkserver = multiprocessing.get_context("forkserver")


def warm_up(*modules: str) -> None:
    """Load modules in the server, while this process continues."""
    from multiprocessing.forkserver import ensure_running

    forkserver.set_forkserver_preload(list(modules))
    ensure_running()


def start(name: str, *arguments: Any) -> BaseProcess:
    """Start a function by its full name, so that the caller need not import its libraries.

    This is a process and not a pool, because a pool's processes would wait forever if this one is
    killed.
    """
    process = forkserver.Process(target=_call, args=(name, *arguments), name=name, daemon=True)
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{process.name} failed in a child process, code {process.exitcode}")


def _call(name: str, *arguments: Any) -> None:
    module, _, function = name.rpartition(".")
    getattr(import_module(module), function)(*arguments)
