"""prod and staging -> a Bento: both models, the modules that serving imports, a lock of its own.

Its version is a digest of its content, so the same versions and code give the same Bento.
"""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from ratchet.errors import InputError
from ratchet.registry.registry import Registry, Version
from ratchet.serving.served_model import ServedModel, copy_from_mlflow
from ratchet.settings import PROJECT

ROOT = Path(__file__).parents[2]
SERVICE = "bentos/service.py"
PACKED = "bentos/packed.json"
BESIDE = ("ratchet/serving/ab.html", "bentos/requirements.txt")  # what no import names


@dataclass(frozen=True)
class Bento:
    tag: str
    path: str
    digest: str
    models: dict[str, str]  # role: BentoML tag
    files: list[str]
    was_there: bool


def pack(prod: Version, staging: Version | None, registry: Registry) -> Bento:
    with TemporaryDirectory() as folder:
        context = Path(folder)
        models = {"prod": store_model(prod, registry)}
        if staging:
            models["staging"] = store_model(staging, registry)
        files = copy_service(context)
        packed = {"model": registry.model, "staging": None, **models}
        (context / PACKED).write_text(json.dumps(packed, indent=1) + "\n")
        (context / "bentofile.yaml").write_text(yaml.safe_dump(_bentofile(models)))
        digest = content_digest(context)
        tag = f"ratchet:{digest[:16]}"
        was_there = _is_stored(tag)
        if not was_there:
            _build(context, digest[:16])
    import bentoml

    return Bento(tag, bentoml.bentos.get(tag).path, digest, models, files, was_there)


def store_model(version: Version, registry: Registry) -> str:
    """In BentoML's model store, once it was loaded and has answered its own example.

    The tag tells the version and the content: another project's model of that name has another.
    """
    import bentoml

    with TemporaryDirectory() as folder:
        made = Path(folder) / "model"
        source, config = registry.folder(version), version.tags.get("config", "")
        copy_from_mlflow(source, registry.model, version.number, config, made)
        model = ServedModel(made)
        model.answers(model.example())
        name = registry.model.lower().replace("_", "-")
        tag = f"{name}:v{version.number}-{content_digest(made)[:12]}"
        if not _is_stored(tag, models=True):
            with bentoml.models.create(tag, labels={"version": version.number}) as stored:
                shutil.copytree(made, stored.path, dirs_exist_ok=True)
    return tag


def copy_service(context: Path) -> list[str]:
    files = sorted({*modules(SERVICE), *BESIDE, str(PROJECT)})
    for name in files:
        source = Path(name) if name == str(PROJECT) else ROOT / name
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return files


def modules(start: str) -> set[str]:
    """The project's own files that a module imports, and those that these import."""
    found, left = set[str](), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _imported(ROOT / name)
    return found


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            yield from _files(name.split("."))


def _files(parts: list[str]) -> Iterator[str]:
    """The module and the packages that it lies in."""
    for end in range(1, len(parts) + 1):
        path = "/".join(parts[:end])
        for name in (f"{path}/__init__.py", f"{path}.py"):
            if (ROOT / name).is_file():
                yield name


def content_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _bentofile(models: dict[str, str]) -> dict[str, object]:
    return {
        "service": "bentos.service:service",
        "description": "prod and staging of a classifier, side by side behind one address.",
        "include": ["*"],
        "models": list(models.values()),
        "python": {"requirements_txt": "bentos/requirements.txt", "lock_packages": False},
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
    """In a process of its own: the service is imported from the copy, not from the checkout."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-m", "bentoml", "build", "--version", version, str(context)]
    done = subprocess.run(
        command, cwd=context, env=env | {"BENTOML_DO_NOT_TRACK": "True"}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise InputError(f"bentoml build failed: {said}")
