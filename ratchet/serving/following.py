"""The follower of the registry's aliases: python -m ratchet.serving.following FOLDER

It is a process of its own, so no worker loads MLflow, waits for the registry or checks a new model.
It copies and loads each version and asks it its own input example before it names it in the active
versions. It ends with the worker that started it, because it reads that worker's pipe.
"""

import errno
import logging
import os
import select
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.model import model_file
from ratchet.serving.active_versions import (
    ActiveVersions,
    read_active_versions,
    write_active_versions,
)
from ratchet.serving.card import CARD, copy_from_mlflow
from ratchet.serving.served_model import Interface, ServedModel, mismatch

if TYPE_CHECKING:
    from ratchet.registry.registry import Registry

SECONDS_BETWEEN_LOOKS = 1.0
MODELS_KEPT = 6
MAX_REASON = 300
log = logging.getLogger("ratchet.following")

Files = tuple[tuple[int, int], ...]  # size and time of change of each file of a version


class Follower:
    def __init__(self, models: Path, model: str) -> None:
        self._models = models
        known = read_active_versions(models)
        self.active = known if known and known.model == model else ActiveVersions(model)
        self._refused: dict[str, str] = {}  # by this process: after a restart each is tried again
        self._waiting: dict[str, str] = {}  # cannot be copied now, such as when the disk is full
        self._checked: dict[str, tuple[Files, Interface]] = {}

    def look(self, registry: "Registry") -> None:
        aliases = registry.aliases()
        self._waiting.clear()
        prod, staging = aliases.get("prod"), aliases.get("staging")
        # A version that cannot be served leaves the one before it in place.
        prod = prod if prod and self._take(registry, prod) else self.active.prod
        reasons = self._refused | self._waiting
        if staging == prod or prod is None or not (staging and self._take(registry, staging)):
            reasons |= self._refused | self._waiting
            staging = None
        elif reason := self._mismatch(prod, staging):
            reasons[staging], staging = reason, None
        refused = {version: why for version, why in reasons.items() if version in aliases.values()}
        self._publish(
            replace(self.active, prod=prod, staging=staging, refused=refused, registry="up")
        )

    def registry_is_down(self, error: Exception) -> None:
        self._publish(replace(self.active, registry=f"{type(error).__name__}: {_reason(error)}"))

    def _mismatch(self, prod: str, staging: str) -> str | None:
        """Return why prod, whose signature checks every request, cannot answer for staging."""
        if not self._check(prod):
            return None
        return mismatch(self._checked[prod][1], self._checked[staging][1])

    def _take(self, registry: "Registry", number: str) -> bool:
        """Return whether the version is here and works. An error of the registry is raised."""
        if number in self._refused:
            return False
        if number in (self.active.prod, self.active.staging) and self._check(number):
            return True
        folder = self.active.folder(self._models, number)
        version = registry.version(number)
        source = registry.folder(version)
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            config = version.tags.get("config", "")
            copy_from_mlflow(source, registry.model, number, config, temporary)
            model = ServedModel(temporary)
            model.answers(model.example())
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
        except Exception as error:  # a broken model may raise anything
            shutil.rmtree(temporary, ignore_errors=True)
            self._failed(number, error)
            return False
        self._checked[number] = (self._files(number), model.interface)
        return True

    def _check(self, number: str) -> bool:
        """Return whether the copy on this disk works. It is loaded again only if it changed."""
        try:
            files = self._files(number)
            if number not in self._checked or self._checked[number][0] != files:
                self._checked.pop(number, None)
                model = ServedModel(self.active.folder(self._models, number))
                model.answers(model.example())
                self._checked[number] = (files, model.interface)
        except Exception:  # it is missing or damaged, and is copied again
            return False
        return True

    def _files(self, number: str) -> Files:
        folder = self.active.folder(self._models, number)
        stats = [(folder / name).stat() for name in (model_file.FILE, CARD)]
        return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)

    def _failed(self, number: str, error: Exception) -> None:
        """Refuse the version, unless it was this machine that failed: then it is tried again."""
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
            self._waiting[number] = f"{_reason(error)}; it is tried again"
            return
        self._refused[number] = _reason(error)
        log.error("version refused", extra={"version": number, "reason": _reason(error)})

    def _publish(self, active: ActiveVersions) -> None:
        if active != self.active or read_active_versions(self._models) is None:
            try:
                write_active_versions(self._models, active)
            except OSError as error:  # the next look tries again
                log.error("cannot write the active versions", extra={"reason": _reason(error)})
                return
            log.info("active versions", extra={"prod": active.prod, "staging": active.staging})
        self.active = active
        in_use = {version for version in (active.prod, active.staging) if version}
        self._checked = {v: checked for v, checked in self._checked.items() if v in in_use}
        self._delete_old_models(in_use)

    def _delete_old_models(self, in_use: set[str]) -> None:
        folders = [one for one in self._models.glob(f"{self.active.model}-*") if one.is_dir()]
        folders.sort(key=lambda folder: folder.stat().st_mtime)
        kept = {self.active.folder(self._models, version) for version in in_use}
        for folder in folders[:-MODELS_KEPT]:
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_REASON] or type(error).__name__


def main() -> None:
    from ratchet.serving.worker import log_as_json
    from ratchet.settings import read_settings

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    log_as_json()
    models, settings = Path(sys.argv[1]), read_settings()
    follower, registry = Follower(models, settings.model), None
    while not _is_alone(SECONDS_BETWEEN_LOOKS if registry else 0):
        try:
            registry = registry or _connect(settings.model)
            follower.look(registry)
        except Exception as error:  # the client of a registry that is down may raise anything
            follower.registry_is_down(error)
            if _is_alone(SECONDS_BETWEEN_LOOKS):
                return


def _connect(model: str) -> "Registry":
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect

    return Registry(connect(), model)


def _is_alone(seconds: float) -> bool:
    """Wait, and return whether the worker at the other end of the pipe is gone."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


if __name__ == "__main__":
    main()
