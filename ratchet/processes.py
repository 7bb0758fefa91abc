"""Processes beside this one. Their server has loaded what they need, and ends with this one."""

import multiprocessing
from importlib import import_module
from multiprocessing.process import BaseProcess
from typing import Any

beside = multiprocessing.get_context("forkserver")


def warm_up(*modules: str) -> None:
    """Load them in the server, while this process goes on."""
    from multiprocessing import forkserver

    beside.set_forkserver_preload(list(modules))
    forkserver.ensure_running()


def start(name: str, *arguments: Any) -> BaseProcess:
    """By name: whoever starts a function need not load its libraries.

    A process and no pool: should this process be killed, a pool's would wait for work for ever.
    """
    process = beside.Process(target=_call, args=(name, *arguments), name=name, daemon=True)
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{process.name} failed beside this process, code {process.exitcode}")


def _call(name: str, *arguments: Any) -> None:
    module, _, function = name.rpartition(".")
    getattr(import_module(module), function)(*arguments)
