"""Building the Bento: the models of `prod` and `staging`, the library, the service and its lock.

The version of a Bento is a digest of its content, so the same models and code give the same Bento.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import yaml

from ratchet.errors import InputError
from ratchet.registry.registry import Registry, Version
from ratchet.serving import packed
from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.served_model import Interface, ServedModel, mismatch
from ratchet.settings import PROJECT, read_settings
from ratchet.wheel import wheel


@dataclass(frozen=True)
class Bento:
    tag: str
    path: str
    digest: str
    models: dict[str, str]  # role: BentoML tag
    files: list[str]
    was_there: bool


def pack(prod: Version, staging: Version | None, registry: Registry, service: Path) -> Bento:
    """Build the Bento, unless BentoML's store has it already.

    `service` is the folder with service.py, requirements.txt (the service's lock file) and the
    Dockerfile of its image.
    """
    tag, interface = store_model(prod, registry)
    models = {"prod": tag}
    if staging:
        models["staging"], other = store_model(staging, registry)
        if reason := mismatch(interface, other):
            raise InputError(
                f"The staging version {staging} cannot be packed with {prod}: {reason}. Train a"
                " version that fits, or reject this one: mlflow run . -e promote -P action=reject"
                " -P reason=..."
            )
    with TemporaryDirectory() as folder:
        context = Path(folder)
        copy_code(service, context)
        content = {"model": registry.model, "staging": None, **models}
        (context / service.name / packed.FILE).write_text(json.dumps(content, indent=1) + "\n")
        (context / "bentofile.yaml").write_text(yaml.safe_dump(_bentofile(service.name, models)))
        files = [str(file.relative_to(context)) for file in _files(context)]
        digest = content_digest(context)
        tag = f"ratchet:{digest[:16]}"
        was_there = _is_stored(tag)
        if not was_there:
            _build(context, digest[:16])
    import bentoml

    return Bento(tag, bentoml.bentos.get(tag).path, digest, models, files, was_there)


def store_model(version: Version, registry: Registry) -> tuple[str, Interface]:
    """Store the version in BentoML's model store, and return its tag and its interface.

    Before this, the version must answer its own input example. The tag contains its number
    and a digest of its content, so a model of the same name in another project has another tag.
    """
    import bentoml

    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        source, config = registry.folder(version), version.tags.get("config", "")
        copy_from_mlflow(source, registry.model, version.number, config, folder)
        model = ServedModel(folder)
        model.answers(model.example())
        name = registry.model.lower().replace("_", "-")
        tag = f"{name}:v{version.number}-{content_digest(folder)[:12]}"
        if not _is_stored(tag, models=True):
            with bentoml.models.create(tag, labels={"version": version.number}) as stored:
                shutil.copytree(folder, stored.path, dirs_exist_ok=True)
    return tag, model.interface


def copy_code(service: Path, context: Path) -> None:
    """Copy the library, the service and the settings, so that the Bento contains all its code."""
    with TemporaryDirectory() as folder, ZipFile(wheel(Path(folder))) as content:
        content.extractall(context)
    target = context / service.name
    target.mkdir()
    for name in ("__init__.py", "service.py", "requirements.txt", "Dockerfile"):
        shutil.copyfile(service / name, target / name)
    (context / PROJECT).parent.mkdir(parents=True)
    shutil.copyfile(PROJECT, context / PROJECT)
    settings = read_settings()
    if settings.ab.contract != "off":
        _copy_contract(settings.data.contract, context)


def _copy_contract(contract: str, context: Path) -> None:
    if not Path(contract).is_file() or Path(contract).is_absolute():
        raise InputError(
            f"ab.contract: {contract} (data.contract) must be a file of the project, so that the"
            " Bento can hold it"
        )
    (context / contract).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(contract, context / contract)


def content_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in _files(folder):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _bentofile(package: str, models: dict[str, str]) -> dict[str, object]:
    return {
        "service": f"{package}.service:service",
        "description": "prod and staging behind one address.",
        "include": ["*"],
        "models": list(models.values()),
        "python": {"requirements_txt": f"{package}/requirements.txt", "lock_packages": False},
        "docker": {"python_version": "3.11"},
    }


def _is_stored(tag: str, models: bool = False) -> bool:
    import bentoml
    from bentoml.exceptions import NotFound

    try:
        (bentoml.models if models else bentoml.bentos).get(tag)
    except NotFound:
        return False
    return True


def _build(context: Path, version: str) -> None:
    """Build in a new process, so that BentoML imports the service from `context`."""
    command = [sys.executable, "-m", "bentoml", "build", "--version", version, str(context)]
    env = os.environ | {"BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        command, cwd=context, env=env, text=True, capture_output=True, check=False
    )
    if done.returncode:
        message = (done.stderr or done.stdout).strip()[-1000:]
        raise InputError(f"The Bento could not be built: {message}")
