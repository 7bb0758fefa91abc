"""The two models of a Bento, named in a file that only a Bento has next to its service."""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "packed.json"


@dataclass(frozen=True)
class Packed:
    model: str
    prod: str  # BentoML tags, each with its version
    staging: str | None

    @property
    def tags(self) -> list[str]:
        return [tag for tag in (self.prod, self.staging) if tag]


def read_packed(folder: Path) -> Packed | None:
    file = folder / FILE
    return Packed(**json.loads(file.read_text())) if file.exists() else None
