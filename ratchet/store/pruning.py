"""Deletion of artifacts that nothing needs any more. Runs, metrics and versions stay.

A version keeps its artifacts if an alias or a ledger line names it, if the gate has not judged it
yet, if it is one of the newest, or if it is younger than the limit. The other versions get the tag
`pruned`. The gate and the service cannot load them any more, but `reproduce` can train them again.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.registry.registry import Registry, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

A_DAY = 24 * 3600


@dataclass(frozen=True)
class Pruned:
    versions: list[str]
    megabytes: float


def prune(registry: Registry, client: "MlflowClient", keep: int, days: float) -> Pruned:
    """Delete artifacts, except those of the `keep` newest versions and of the last `days` days."""
    now = time.time()
    old = [
        version
        for version in removable(registry.versions(), in_ledger(registry), keep)
        if now - client.get_run(version.run_id).info.start_time / 1000 > days * A_DAY
    ]
    size = 0
    for version in old:
        size += sum(_delete(folder) for folder in _folders(registry, client, version))
        registry.tag(version, pruned=f"{datetime.now(UTC):%Y-%m-%d}")
    return Pruned([version.number for version in old], size / 1e6)


def removable(versions: list[Version], needed: set[str], keep: int) -> list[Version]:
    """Return the versions whose artifacts nothing needs. `versions` must have the newest first."""
    return [
        version
        for version in versions[keep:]
        if version.number not in needed
        and not version.aliases
        and version.verdict is not None
        and "pruned" not in version.tags
    ]


def in_ledger(registry: Registry) -> set[str]:
    """Return the numbers of all versions that a ledger line names."""
    pairs: Iterable[tuple[str | None, str | None]] = (
        pair for line in registry.ledger() for pair in line.moves.values()
    )
    return {number for pair in pairs for number in pair if number}


def _folders(registry: Registry, client: "MlflowClient", version: Version) -> list[Path]:
    """Return the folders of the run's artifacts and of the version's model."""
    run = client.get_run(version.run_id)
    locations = [run.info.artifact_uri, registry.location(version)]
    return [Path(location.removeprefix("file://")) for location in locations if location]


def _delete(folder: Path) -> int:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    shutil.rmtree(folder, ignore_errors=True)
    return size
