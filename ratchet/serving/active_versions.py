"""The versions that answer: a file that the follower writes and every worker reads.

It lies next to the models that it names, so a service that starts while the registry is down has
both.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "active_versions.json"


@dataclass(frozen=True)
class ActiveVersions:
    model: str
    prod: str | None = None
    staging: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)  # version: why it is not served
    registry: str = "not asked yet"  # "up", or the registry's error

    def folder(self, models: Path, version: str) -> Path:
        return models / f"{self.model}-{version}"


def read_active_versions(models: Path) -> ActiveVersions | None:
    """Return None if the file is missing or damaged; the follower then writes it again."""
    try:
        return ActiveVersions(**json.loads((models / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_active_versions(models: Path, versions: ActiveVersions) -> None:
    """Write the whole file or none of it."""
    models.mkdir(parents=True, exist_ok=True)
    temporary = models / f".{FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(versions), indent=1) + "\n")
    temporary.replace(models / FILE)
