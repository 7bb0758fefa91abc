"""Which versions answer: a file that the follower writes and every worker reads.

It lies beside the models that it names, so a service that starts while the registry is down has
both.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "roster.json"


@dataclass(frozen=True)
class Roster:
    """Versions by role. `refused`: versions that failed their check, and why."""

    model: str
    prod: str | None = None
    staging: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    registry: str = "not asked yet"  # "up", or what it said

    def folder(self, at: Path, version: str) -> Path:
        return at / f"{self.model}-{version}"


def read_roster(at: Path) -> Roster | None:
    try:
        return Roster(**json.loads((at / FILE).read_text()))
    except FileNotFoundError:
        return None


def write_roster(at: Path, roster: Roster) -> None:
    """Whole or not at all."""
    at.mkdir(parents=True, exist_ok=True)
    beside = at / f".{FILE}.{os.getpid()}"
    beside.write_text(json.dumps(asdict(roster), indent=1) + "\n")
    beside.replace(at / FILE)
