"""A request's rows -> an arm each, answers, records. What is answered is in the log."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ratchet.predictions.assignment import Arm, arms_of, pseudonymize
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Record, json_text, new_request_ids
from ratchet.serving.arms import Arms
from ratchet.serving.direct import Rows
from ratchet.serving.features import Asked
from ratchet.serving.scorer import Scorer
from ratchet.serving.served_model import Answer
from ratchet.serving.shadowing import Shadowing, ToShadow
from ratchet.settings import ABSettings

SECONDS_FOR_PROD = 30.0
ARMS: tuple[Arm, Arm] = ("A", "B")


class UnavailableError(Exception):
    """prod cannot answer."""


class Scored(NamedTuple):
    """The rows of one arm in a request: answered together."""

    answers: Sequence[Answer]
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

    async def answer(self, arms: Arms, asked: Asked) -> list[Record]:
        """Raises UnavailableError where prod failed, LogError where the log keeps nothing."""
        split = self._log.split.value
        assigned = arms_of(asked.users, self._log.salt(arms.staging_version), split)
        scored = await self._scored(arms, asked.values, assigned)
        records = self._records(arms, split, asked, assigned, scored)
        await self._log.append(records)
        self._tell(records)
        if self._shadowing and arms.staging:
            self._shadowing.add(
                ToShadow(r.request_id, values, arms.of("A" if r.arm == "B" else "B"))
                for r, values in zip(records, asked.values, strict=True)
            )
        return records

    async def _scored(self, arms: Arms, asked: Rows, assigned: Sequence[Arm]) -> dict[Arm, Scored]:
        """Arm by arm, either first: which is first is slower, and that is no fault of the arm."""
        of = {}
        for arm in random.sample(ARMS, 2):
            rows = [row for row, to in zip(asked, assigned, strict=True) if to == arm]
            answer = self._by_staging if arm == "B" else self._by_prod
            if rows:
                of[arm] = await answer(arms, rows)
        return of

    async def _by_staging(self, arms: Arms, rows: Rows) -> Scored:
        started, seconds = time.perf_counter(), self._settings.staging_timeout_ms / 1000
        staging = arms.of("B")
        try:
            if staging.hangs(seconds):
                raise TimeoutError
            answers = await _in_time(staging, rows, seconds)
        except Exception as fault:  # whatever arm B's model makes of a row, prod answers
            error = _told(fault, self._settings.staging_timeout_ms)
            scored = await self._by_prod(arms, rows)
            took = 1000 * (time.perf_counter() - started)
            return scored._replace(milliseconds=took, error=error)
        return Scored(answers, "B", 1000 * (time.perf_counter() - started))

    async def _by_prod(self, arms: Arms, rows: Rows) -> Scored:
        started = time.perf_counter()
        try:
            answers = await _in_time(arms.prod, rows, SECONDS_FOR_PROD)
        except Exception as fault:
            said = _told(fault, 1000 * SECONDS_FOR_PROD)
            version = arms.prod.model.version
            raise UnavailableError(f"prod, version {version}, failed: {said}") from fault
        return Scored(answers, "A", 1000 * (time.perf_counter() - started))

    def _records(
        self, arms: Arms, split: float, asked: Asked, assigned: Sequence[Arm],
        scored: Mapping[Arm, Scored],
    ) -> list[Record]:  # fmt: skip
        now, model = time.time(), arms.prod.model.card.model
        prod, staging = arms.prod.model.version, arms.staging_version
        version: dict[str, str] = {"A": prod, "B": staging or prod}
        answers = {arm: iter(group.answers) for arm, group in scored.items()}
        users = (
            [pseudonymize(one, self._secret) for one in asked.users]
            if self._secret
            else asked.users
        )
        labels = [None if label is None else json_text(label) for label in asked.labels]
        rows = zip(
            new_request_ids(now, len(users)), users, assigned, asked.features, labels, strict=True
        )
        return [
            Record(
                request_id, now, user, got.arm, model, version[got.arm], prod, staging, arm, split,
                features, *next(answers[arm]), got.milliseconds, got.error, got.arm != arm,
                label, None if label is None else now,
            )
            for request_id, user, arm, features, label in rows
            for got in (scored[arm],)
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
