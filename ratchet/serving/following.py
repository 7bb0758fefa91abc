"""Follows the registry's aliases for the workers of a service: python -m ratchet.serving.following

A process of its own: no worker loads MLflow, waits for the registry or checks a new model. Each
version is copied, loaded and asked its own input example here before the roster names it. It
ends with the worker that started it, whose pipe it reads.
"""

import logging
import os
import select
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.serving.active_versions import Roster, read_roster, write_roster
from ratchet.serving.served_model import CARD, ServedModel, copy_from_mlflow, read_card

if TYPE_CHECKING:
    from ratchet.registry.registry import Registry

SECONDS_BETWEEN_LOOKS = 1.0
MODELS_KEPT = 6
log = logging.getLogger("ratchet.following")


class Follower:
    def __init__(self, at: Path, model: str) -> None:
        self._at = at
        known = read_roster(at)
        self.roster = known if known and known.model == model else Roster(model)
        self._refused: dict[str, str] = {}  # by this process: after a restart each is tried again

    def look(self, registry: "Registry") -> None:
        aliases = registry.aliases()
        prod, staging = aliases.get("prod"), aliases.get("staging")
        # What cannot take over leaves the one before it in place.
        prod = prod if prod and self._take(registry, prod) else self.roster.prod
        named = dict(self._refused)
        if staging == prod or prod is None or not (staging and self._take(registry, staging)):
            staging = None
        elif misfit := self._misfit(prod, staging):
            named[staging], staging = misfit, None
        held = {version: why for version, why in named.items() if version in aliases.values()}
        self._publish(replace(self.roster, prod=prod, staging=staging, refused=held, registry="up"))

    def registry_is_down(self, error: Exception) -> None:
        said = " ".join(str(error).split())[:300]
        self._publish(replace(self.roster, registry=f"{type(error).__name__}: {said}"))

    def _misfit(self, prod: str, staging: str) -> str | None:
        """A request is checked against prod, which must be able to answer for staging."""
        cards = [read_card(self.roster.folder(self._at, version)) for version in (prod, staging)]
        different = {column.name for column in {*cards[0].columns} ^ {*cards[1].columns}}
        if not different:
            return None
        return f"its features are not those of prod: {', '.join(sorted(different))}"

    def _take(self, registry: "Registry", number: str) -> bool:
        """Whether the version is here and works. A registry that is down is no fault of it."""
        folder = self.roster.folder(self._at, number)
        if number in self._refused:
            return False
        if number in (self.roster.prod, self.roster.staging) and (folder / CARD).exists():
            return True
        version = registry.version(number)
        source = registry.folder(version)
        beside = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            config = version.tags.get("config", "")
            copy_from_mlflow(source, registry.model, number, config, beside)
            model = ServedModel(beside)
            model.answers(model.example())
        except Exception as error:  # whatever a broken model makes of whoever loads it
            self._refuse(number, " ".join(str(error).split())[:300] or type(error).__name__)
            shutil.rmtree(beside, ignore_errors=True)
            return False
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
        return True

    def _refuse(self, number: str, reason: str) -> None:
        if number not in self._refused:
            log.error("version refused", extra={"version": number, "reason": reason})
        self._refused[number] = reason

    def _publish(self, roster: Roster) -> None:
        if roster != self.roster or read_roster(self._at) is None:
            write_roster(self._at, roster)
            log.info("roster", extra={"prod": roster.prod, "staging": roster.staging})
        self.roster = roster
        self._forget_old_models()

    def _forget_old_models(self) -> None:
        folders = [one for one in self._at.glob(f"{self.roster.model}-*") if one.is_dir()]
        folders.sort(key=lambda folder: folder.stat().st_mtime)
        held = {
            self.roster.folder(self._at, version)
            for version in (self.roster.prod, self.roster.staging)
            if version
        }
        for folder in folders[:-MODELS_KEPT]:
            if folder not in held:
                shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    from ratchet.serving.json_logs import log_as_json
    from ratchet.settings import read_settings

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    log_as_json()
    at, settings = Path(sys.argv[1]), read_settings()
    follower, registry = Follower(at, settings.model), None
    while not _left_alone(SECONDS_BETWEEN_LOOKS if registry else 0):
        try:
            registry = registry or _connect(settings.model)
            follower.look(registry)
        except Exception as error:  # whatever a registry that is down makes of its client
            follower.registry_is_down(error)
            if _left_alone(SECONDS_BETWEEN_LOOKS):
                return


def _connect(model: str) -> "Registry":
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect

    return Registry(connect(), model)


def _left_alone(seconds: float) -> bool:
    """Whether the worker at the other end of the pipe is gone."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


if __name__ == "__main__":
    main()
