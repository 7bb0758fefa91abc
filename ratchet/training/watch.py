"""Watching a folder of model configs for changes."""

import time
from collections.abc import Iterator
from pathlib import Path

from ratchet.model.spec import config_files

QUIET_SECONDS = 2.0  # a file that changed more recently may still be being written


def changes(config: Path) -> Iterator[None]:
    """Yield once at the start, and then each time a file was added or changed."""
    from watchfiles import watch

    yield
    print(f"Watching {config}; Ctrl-C stops", flush=True)
    for _ in watch(config, rust_timeout=1000):
        while _last_change(config) > time.time() - QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 4)
        yield


def _last_change(config: Path) -> float:
    return max(file.stat().st_mtime for file in config_files(config))
