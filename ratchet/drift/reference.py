"""The reference of a drift check: the profile that a version was trained with, or a file."""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.errors import InputError
from ratchet.profile.reading import FOLDER, Reading, load, read_reference
from ratchet.registry.registry import ALIASES, Registry, Version
from ratchet.settings import DataSettings


@dataclass(frozen=True)
class Reference:
    name: str  # for people
    reading: Reading
    version: str | None = None  # the version that was trained on it


def reference_of(
    name: str, registry: Registry, settings: DataSettings, unit: str | None = None
) -> Reference:
    """Return the reference by an alias, a version's number, or else a file."""
    if name not in ALIASES and not re.fullmatch(r"\d+", name):
        return Reference(name, read_reference(name, settings, unit))
    version = _version(name, registry)
    display_name = f"{name}, {version}" if name in ALIASES else str(version)
    return Reference(display_name, _profile_of(version), version.number)


def _version(name: str, registry: Registry) -> Version:
    if name in ALIASES and registry.holder(name) is None:
        raise InputError(
            f"No alias '{name}' on model '{registry.model}'. Train a model and evaluate it first:"
            " mlflow run . -e train, then -e evaluate"
        )
    return registry.version(name)


def _profile_of(version: Version) -> Reading:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory() as folder:
        try:
            path = download_artifacts(run_id=version.run_id, artifact_path=FOLDER, dst_path=folder)
            return load(Path(path))
        except (MlflowException, OSError):
            raise InputError(
                f"{version} has no profile: it was trained before profiles were logged, or the"
                f" artifacts of its run {version.run_id} are gone. Train and evaluate again:"
                " mlflow run . -e train -P force=true, then -e evaluate"
            ) from None
