"""A request's rows -> an arm each, answers, records. What is answered is in the log."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ratchet.config import ABSettings
from ratchet.serving.arms import Arms
from ratchet.serving.assignment import Arm, arm_of, hidden
from ratchet.serving.direct import Rows
from ratchet.serving.features import Asked
from ratchet.serving.prediction_log import PredictionLog
from ratchet.serving.record import Record, json_text, new_request_ids
from ratchet.serving.scorer import Scorer
from ratchet.serving.served_model import Answer
from ratchet.serving.shadowing import Shadowing, ToShadow

SECONDS_FOR_PROD = 30.0


class UnavailableError(Exception):
    """prod cannot answer."""


class Scored(NamedTuple):
    answer: Answer
    arm: Arm  # that answered
    milliseconds: float
    error: str | None = None  # of arm B


class Answering:
    def __init__(
        self, log: PredictionLog, settings: ABSettings, user_secret: str | None,
        tell: Callable[[Sequence[Record]], None],
    ) -> None:  # fmt: skip
        self._log, self._settings, self._secret, self._tell = log, settings, user_secret, tell
        self._shadowing = Shadowing(log) if settings.shadow else None

    async def answer(self, arms: Arms, asked: Sequence[Asked]) -> list[Record]:
        """Raises UnavailableError where prod failed, LogError where the log keeps nothing."""
        split = self._log.split.value
        staging = arms.staging_version
        assigned = [arm_of(one.user_id, staging, split) for one in asked]
        scored = await self._scored(arms, asked, assigned)
        records = self._records(arms, split, asked, assigned, scored)
        await self._log.append(records)
        self._tell(records)
        if self._shadowing and arms.staging:
            self._shadowing.add(
                ToShadow(r.request_id, one.values, arms.of("A" if r.arm == "B" else "B"))
                for r, one in zip(records, asked, strict=True)
            )
        return records

    async def _scored(
        self, arms: Arms, asked: Sequence[Asked], assigned: Sequence[Arm]
    ) -> list[Scored]:
        error = None
        for_b = [one.values for one, arm in zip(asked, assigned, strict=True) if arm == "B"]
        for_a = [one.values for one, arm in zip(asked, assigned, strict=True) if arm == "A"]
        started = time.perf_counter()
        by_b: list[Scored] = []
        if for_b and arms.staging:
            try:
                answers = await self._by_staging(arms.staging, for_b)
                took = 1000 * (time.perf_counter() - started)
                by_b = [Scored(answer, "B", took) for answer in answers]
            except Exception as fault:  # whatever arm B's model makes of a row, prod answers
                error = _told(fault, self._settings.staging_timeout_ms)
        by_a = await self._by_prod(arms, for_a) if for_a else []
        if error is not None:
            by_b = [one._replace(error=error) for one in await self._by_prod(arms, for_b, started)]
        of = {"A": iter(by_a), "B": iter(by_b)}
        return [next(of[arm]) for arm in assigned]

    async def _by_staging(self, staging: Scorer, rows: Rows) -> list[Answer]:
        seconds = self._settings.staging_timeout_ms / 1000
        if staging.hangs(seconds):
            raise TimeoutError
        return await _in_time(staging, rows, seconds)

    async def _by_prod(self, arms: Arms, rows: Rows, started: float | None = None) -> list[Scored]:
        started = started or time.perf_counter()
        try:
            answers = await _in_time(arms.prod, rows, SECONDS_FOR_PROD)
        except Exception as fault:
            said = _told(fault, 1000 * SECONDS_FOR_PROD)
            raise UnavailableError(
                f"prod, version {arms.prod.model.version}, failed: {said}"
            ) from fault
        took = 1000 * (time.perf_counter() - started)
        return [Scored(answer, "A", took) for answer in answers]

    def _records(
        self, arms: Arms, split: float, asked: Sequence[Asked], assigned: Sequence[Arm],
        scored: Sequence[Scored],
    ) -> list[Record]:  # fmt: skip
        now, model = time.time(), arms.prod.model.card.model
        prod, staging = arms.prod.model.version, arms.staging_version
        version: dict[str, str] = {"A": prod, "B": staging or prod}
        return [
            Record(
                request_id, now, hidden(one.user_id, self._secret) if self._secret else one.user_id,
                got.arm, model, version[got.arm], prod, staging, arm, split, one.features,
                got.answer.prediction, got.answer.probabilities, got.milliseconds, got.error,
                got.arm != arm, None if one.label is None else json_text(one.label),
                None if one.label is None else now,
            )
            for request_id, one, arm, got in zip(
                new_request_ids(now, len(asked)), asked, assigned, scored, strict=True
            )
        ]  # fmt: skip

    async def close(self) -> None:
        if self._shadowing:
            await self._shadowing.close()


async def _in_time(scorer: Scorer, rows: Rows, seconds: float) -> list[Answer]:
    waiting = scorer.ask(rows)
    return await (waiting if scorer.model.instant else asyncio.wait_for(waiting, seconds))


def _told(fault: Exception, milliseconds: float) -> str:
    if isinstance(fault, TimeoutError):
        return f"no answer in {milliseconds:g} ms"
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}"
