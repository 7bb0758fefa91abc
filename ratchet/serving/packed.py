"""What a Bento carries: two models, named in a file that only a Bento has beside the service."""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "packed.json"  # beside service.py


@dataclass(frozen=True)
class Packed:
    model: str
    prod: str  # BentoML tags, pinned by version
    staging: str | None

    @property
    def tags(self) -> list[str]:
        return [tag for tag in (self.prod, self.staging) if tag]


def read_packed(folder: Path) -> Packed | None:
    file = folder / FILE
    return Packed(**json.loads(file.read_text())) if file.exists() else None
