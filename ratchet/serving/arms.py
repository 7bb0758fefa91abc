"""The two models that answer, as one worker has them loaded."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.predictions.assignment import Arm
from ratchet.serving.active_versions import Roster, read_roster
from ratchet.serving.scorer import Scorer
from ratchet.serving.served_model import ServedModel

SECONDS_BETWEEN_LOOKS = 0.5
log = logging.getLogger("ratchet.arms")


@dataclass(frozen=True)
class Arms:
    """Who answers. Without a staging version all traffic is A's."""

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
    """Those of the roster. What cannot be loaded leaves those before it in place."""

    def __init__(self, at: Path) -> None:
        self._at = at
        self.roster: Roster | None = None
        self.current: Arms | None = None
        self.failures: Mapping[str, str] = {}

    async def follow(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # one bad look must not be the last
                log.exception("cannot follow the roster")
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def look(self) -> None:
        roster = read_roster(self._at)
        if roster is None or roster == self.roster:
            return
        before = self.roster
        self.roster = roster
        if before is None or (before.prod, before.staging) != (roster.prod, roster.staging):
            await self._change(roster)

    async def _change(self, roster: Roster) -> None:
        prod = await self._scorer(roster, roster.prod)
        if prod is None:
            return
        staging = await self._scorer(roster, roster.staging)
        self.current = Arms(prod, staging)
        log.info("arms", extra={"prod": roster.prod, "staging": roster.staging})

    async def _scorer(self, roster: Roster, version: str | None) -> Scorer | None:
        """Loaded beside the event loop, which goes on answering."""
        if version is None:
            return None
        if loaded := self._loaded(version):
            return loaded
        try:
            model = await asyncio.to_thread(ServedModel, roster.folder(self._at, version))
        except Exception as error:  # its folder may be broken, or gone
            self.failures = {version: f"{type(error).__name__}: {error}"}
            log.exception("cannot load", extra={"version": version})
            self.roster = None  # looked at again
            return None
        self.failures = {}
        return Scorer(model)

    def _loaded(self, version: str) -> Scorer | None:
        held = (self.current.prod, self.current.staging) if self.current else ()
        return next((s for s in held if s and s.model.version == version), None)
