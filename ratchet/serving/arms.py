"""The two models that answer, as one worker has them loaded."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.predictions.assignment import Arm
from ratchet.serving.active_versions import ActiveVersions, read_active_versions
from ratchet.serving.scorer import Scorer
from ratchet.serving.served_model import ServedModel

SECONDS_BETWEEN_LOOKS = 0.5
log = logging.getLogger("ratchet.arms")


@dataclass(frozen=True)
class Arms:
    """The scorers of both arms. Without a staging version, arm A has all traffic."""

    prod: Scorer
    staging: Scorer | None = None

    def of(self, arm: Arm) -> Scorer:
        return self.staging if arm == "B" and self.staging else self.prod

    @property
    def staging_version(self) -> str | None:
        return self.staging.model.version if self.staging else None


def load_arms(prod: Path, staging: Path | None = None) -> Arms:
    return Arms(Scorer(ServedModel(prod)), Scorer(ServedModel(staging)) if staging else None)


class ArmsInForce:
    """The arms of the active versions. If one cannot be loaded, those before stay in force."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self.active: ActiveVersions | None = None
        self.current: Arms | None = None
        self.failures: Mapping[str, str] = {}

    async def follow(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # it has to look again after any error
                log.exception("cannot follow the active versions")
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def look(self) -> None:
        active = read_active_versions(self._models)
        if active is None or active == self.active:
            return
        before = self.active
        self.active = active
        if before is None or (before.prod, before.staging) != (active.prod, active.staging):
            await self._change(active)

    async def _change(self, active: ActiveVersions) -> None:
        prod = await self._scorer(active, active.prod)
        if prod is None:
            return
        staging = await self._scorer(active, active.staging)
        self.current = Arms(prod, staging)
        log.info("arms", extra={"prod": active.prod, "staging": active.staging})

    async def _scorer(self, active: ActiveVersions, version: str | None) -> Scorer | None:
        """Load the version in a thread, while the event loop goes on answering."""
        if version is None:
            return None
        if loaded := self._loaded(version):
            return loaded
        try:
            model = await asyncio.to_thread(ServedModel, active.folder(self._models, version))
        except Exception as error:  # its folder may be damaged or missing
            self.failures = {version: f"{type(error).__name__}: {error}"}
            log.exception("cannot load", extra={"version": version})
            self.active = None  # the next look tries again
            return None
        self.failures = {}
        return Scorer(model)

    def _loaded(self, version: str) -> Scorer | None:
        loaded = (self.current.prod, self.current.staging) if self.current else ()
        return next((s for s in loaded if s and s.model.version == version), None)
