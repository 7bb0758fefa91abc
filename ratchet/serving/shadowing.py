"""The other version's answer to what was answered already: off the answering path."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Shadow
from ratchet.serving.scorer import Scorer

MOST_WAITING = 100_000
AT_ONCE = 500


class ToShadow(NamedTuple):
    request_id: str
    values: tuple[Any, ...]
    scorer: Scorer


class Shadowing:
    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._waiting: deque[ToShadow] = deque(maxlen=MOST_WAITING)  # then the oldest is left out
        self._work: asyncio.Task[None] | None = None

    def add(self, items: Iterable[ToShadow]) -> None:
        self._waiting.extend(items)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._work:
            await self._work

    async def _run(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            shadows: list[Shadow] = []
            for scorer, items in groupby(taken, key=lambda one: one.scorer):
                shadows += await _shadows(scorer, list(items))
            # The request itself is kept; where this fails, only its comparison is missing.
            with contextlib.suppress(LogError):
                await self._log.shadow(shadows)


async def _shadows(scorer: Scorer, items: list[ToShadow]) -> list[Shadow]:
    version = scorer.model.version
    try:
        answers = await scorer.ask([one.values for one in items])
    except Exception as error:
        return [Shadow(i.request_id, version, None, None, f"{type(error).__name__}") for i in items]
    return [
        Shadow(item.request_id, version, *answer)
        for item, answer in zip(items, answers, strict=True)
    ]
