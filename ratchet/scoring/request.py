"""The request of a scoring run: what is scored, by which version, into which file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.data.files import TOYS, listed_files, local_files
from ratchet.data.formats import is_parquet
from ratchet.errors import InputError, nearest
from ratchet.model import model_file
from ratchet.scoring.parts import exists

if TYPE_CHECKING:
    from ratchet.registry.registry import Registry, Version

ON_ERROR = ("refuse", "null")


@dataclass(frozen=True)
class Request:
    data: str
    out: str
    key: tuple[str, ...]
    on_error: str

    def check(self) -> None:
        """Raise if the request cannot be met whatever the data and the model are."""
        if self.on_error not in ON_ERROR:
            raise InputError(f"on_error={self.on_error}: {nearest(self.on_error, ON_ERROR)}")
        if not (is_parquet(self.out) or self.out.endswith(".csv")):
            raise InputError(f"{self.out} (out) is neither .parquet nor .csv; change its name")
        if exists(self.out):
            raise InputError(f"{self.out} (out) exists; delete it, or choose another name")
        if "://" not in self.out and not Path(self.out).absolute().parent.is_dir():
            raise InputError(f"{Path(self.out).parent} (out) is not a folder; create it")
        reserved = [name for name in self.key if name in ("prediction", "model_version", "refused")]
        if reserved:
            raise InputError(f"'{reserved[0]}' (key) is a column of the output; rename it in data")

    def files(self) -> list[str]:
        if self.data in TOYS:
            return [self.data]
        find = listed_files if "://" in self.data else local_files
        return find(self.data, "data")

    def fingerprint(self, model: Path, version: "Version", files: Sequence[str]) -> dict[str, Any]:
        """Return what has to be equal for a run to continue a stopped one."""
        digest = hashlib.sha256((model / model_file.FILE).read_bytes()).hexdigest()
        return asdict(self) | {
            "key": list(self.key),
            "version": version.number,
            "model": digest,
            "files": {file: _state(file) for file in files},
        }


def _state(file: str) -> str:
    """Return a text that changes when the file changes."""
    from fsspec.core import url_to_fs

    if file in TOYS:
        return file
    system, path = url_to_fs(file)
    return str(system.ukey(path))


def version_of(name: str, registry: "Registry") -> "Version":
    aliases: Mapping[str, str] = registry.aliases()
    if name == "prod" and name not in aliases:
        raise InputError(
            f"No alias 'prod' on model '{registry.model}'. Train a model and evaluate it first:"
            " mlflow run . -e train, then -e evaluate"
        )
    return registry.version(name)
