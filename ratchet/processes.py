"""Processes beside this one. Their server has loaded what they need, and ends with this one."""

import multiprocessing
from importlib import import_module
from typing import Any

beside = multiprocessing.get_context("forkserver")


def warm_up(*modules: str) -> None:
    """Load them in the server, while this process goes on."""
    from multiprocessing import forkserver

    beside.set_forkserver_preload(list(modules))
    forkserver.ensure_running()


def call(name: str, *arguments: Any) -> Any:
    """By name: whoever asks for a function to run beside it need not load its libraries."""
    module, _, function = name.rpartition(".")
    return getattr(import_module(module), function)(*arguments)
