"""What a Bento carries: two models, named in a file that only a Bento has beside the service."""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("packed.json")


@dataclass(frozen=True)
class Packed:
    model: str
    prod: str  # BentoML tags, pinned by version
    staging: str | None

    @property
    def tags(self) -> list[str]:
        return [tag for tag in (self.prod, self.staging) if tag]


def read_packed() -> Packed | None:
    return Packed(**json.loads(FILE.read_text())) if FILE.exists() else None
