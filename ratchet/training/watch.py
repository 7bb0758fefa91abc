"""A folder of model configs, looked at until it is stopped."""

import time
from collections.abc import Iterator
from pathlib import Path

from ratchet.model.spec import config_files

QUIET = 2.0  # seconds without a change: a file that is still being written is waited for


def changes(config: Path) -> Iterator[None]:
    """Once for what is there, then whenever something appears or changes."""
    from watchfiles import watch

    yield
    print(f"Watching {config}; Ctrl-C stops", flush=True)
    for _ in watch(config, rust_timeout=1000):
        while _youngest(config) > time.time() - QUIET:
            time.sleep(QUIET / 4)
        yield


def _youngest(config: Path) -> float:
    return max(file.stat().st_mtime for file in config_files(config))
