"""The other version's answers to requests that were answered already, computed afterwards."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Shadow
from ratchet.serving.metrics import Metrics
from ratchet.serving.scorer import Scorer

MAX_WAITING = 100_000
MAX_AT_ONCE = 500


class ShadowRequest(NamedTuple):
    request_id: str
    values: tuple[Any, ...]
    scorer: Scorer


class Shadowing:
    def __init__(self, log: PredictionLog, metrics: Metrics) -> None:
        self._log, self._metrics = log, metrics
        self._waiting: deque[ShadowRequest] = deque()
        self._work: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, requests: Iterable[ShadowRequest]) -> None:
        """Put the requests in the queue. If it is full, the oldest are left out and counted."""
        self._waiting.extend(requests)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._metrics.shadows_dropped(1)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._work:
            await self._work

    async def _run(self) -> None:
        while self._waiting:
            count = min(MAX_AT_ONCE, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            shadows: list[Shadow] = []
            for scorer, requests in groupby(batch, key=lambda request: request.scorer):
                shadows += await _shadows(scorer, list(requests))
            # If this fails only the comparison is missing; the request itself is in the log.
            with contextlib.suppress(LogError):
                await self._log.shadow(shadows)


async def _shadows(scorer: Scorer, requests: list[ShadowRequest]) -> list[Shadow]:
    version = scorer.model.version
    try:
        answers = await scorer.ask([request.values for request in requests])
    except Exception as failure:
        error = type(failure).__name__
        return [Shadow(r.request_id, version, None, None, error) for r in requests]
    return [
        Shadow(request.request_id, version, *answer)
        for request, answer in zip(requests, answers, strict=True)
    ]
