"""The path of a request's rows: an arm for each row, an answer, and a record in the log."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from ratchet.predictions.assignment import Arm, arms_of, pseudonymize
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Record, json_text, new_request_ids
from ratchet.serving.arms import Arms
from ratchet.serving.direct import Rows
from ratchet.serving.features import RequestRows
from ratchet.serving.metrics import Metrics
from ratchet.serving.scorer import QueueFullError, Scorer
from ratchet.serving.served_model import Answer
from ratchet.serving.shadowing import Shadowing, ShadowRequest
from ratchet.settings import ABSettings

SECONDS_FOR_PROD = 30.0
ARMS: tuple[Arm, Arm] = ("A", "B")
_DEFAULTS: dict[str, Iterable[Any]] = {
    name: repeat(default) for name, default in Record._field_defaults.items()
}


class UnavailableError(Exception):
    """An error that means: prod cannot answer."""


class Scored(NamedTuple):
    """The answers to those rows of a request that are assigned to one arm."""

    answers: Sequence[Answer]
    arm: Arm  # the arm that answered: A also if prod answered in place of staging
    milliseconds: float
    error: str | None = None  # the error of arm B


class Answering:
    def __init__(
        self, log: PredictionLog, settings: ABSettings, user_secret: str | None, metrics: Metrics
    ) -> None:
        self._log, self._settings, self._secret, self._metrics = log, settings, user_secret, metrics
        self.shadowing = Shadowing(log, metrics) if settings.shadow else None

    async def answer(self, arms: Arms, rows: RequestRows) -> list[Record]:
        """Answer the rows, and return their records after the log has committed them.

        Raise UnavailableError if prod fails, and LogError if the log cannot store the records.
        """
        split = self._log.split.value
        users = self._logged_users(rows.users)
        assigned = arms_of(users, self._log.salt(arms.staging_version), split)
        scored = await self._scored(arms, rows.values, assigned)
        records = self._records(arms, split, users, rows, assigned, scored)
        began = time.perf_counter()
        await self._log.append(records)
        self._metrics.answered(records, time.perf_counter() - began)
        if self.shadowing and arms.staging:
            self.shadowing.add(
                ShadowRequest(r.request_id, values, arms.of("A" if r.arm == "B" else "B"))
                for r, values in zip(records, rows.values, strict=True)
            )
        return records

    def _logged_users(self, users: Sequence[str]) -> Sequence[str]:
        """Return the user ids as the log stores them.

        The arms are computed from these, so the assignment can be checked with the log's content.
        """
        if self._secret is None:
            return users
        return [pseudonymize(user, self._secret) for user in users]

    async def _scored(self, arms: Arms, rows: Rows, assigned: Sequence[Arm]) -> dict[Arm, Scored]:
        """Score the arms in random order, because the one scored first measures slower."""
        scored = {}
        for arm in random.sample(ARMS, 2):
            of_arm = [row for row, its_arm in zip(rows, assigned, strict=True) if its_arm == arm]
            score = self._by_staging if arm == "B" else self._by_prod
            if of_arm:
                scored[arm] = await score(arms, of_arm)
        return scored

    async def _by_staging(self, arms: Arms, rows: Rows) -> Scored:
        began, seconds = time.perf_counter(), self._settings.staging_timeout_ms / 1000
        staging = arms.of("B")
        try:
            if staging.hangs(seconds):
                raise TimeoutError
            answers = await _within(staging, rows, seconds)
        except Exception as failure:  # whatever staging's model raises, prod answers instead
            error = _reason(failure, self._settings.staging_timeout_ms)
            scored = await self._by_prod(arms, rows)
            took = 1000 * (time.perf_counter() - began)
            return scored._replace(milliseconds=took, error=error)
        return Scored(answers, "B", 1000 * (time.perf_counter() - began))

    async def _by_prod(self, arms: Arms, rows: Rows) -> Scored:
        began = time.perf_counter()
        try:
            answers = await _within(arms.prod, rows, SECONDS_FOR_PROD)
        except QueueFullError:
            raise
        except Exception as failure:
            reason = _reason(failure, 1000 * SECONDS_FOR_PROD)
            version = arms.prod.model.version
            raise UnavailableError(f"prod, version {version}, failed: {reason}") from failure
        return Scored(answers, "A", 1000 * (time.perf_counter() - began))

    def _records(
        self,
        arms: Arms,
        split: float,
        users: Sequence[str],
        rows: RequestRows,
        assigned: Sequence[Arm],
        scored: Mapping[Arm, Scored],
    ) -> list[Record]:
        """Return a record for each row, built by columns: one by one takes twice as long."""
        now, prod = time.time(), arms.prod.model
        version = {"A": prod.version, "B": arms.staging_version or prod.version}
        groups = [scored[arm] for arm in assigned]
        answers = {arm: iter(group.answers) for arm, group in scored.items()}
        predictions, probabilities = zip(*[next(answers[arm]) for arm in assigned], strict=True)
        columns = _DEFAULTS | {
            "request_id": new_request_ids(now, len(users)),
            "time": repeat(now),
            "user_id": users,
            "arm": [group.arm for group in groups],
            "model": repeat(prod.card.model),
            "model_version": [version[group.arm] for group in groups],
            "prod_version": repeat(prod.version),
            "staging_version": repeat(arms.staging_version),
            "assigned_arm": assigned,
            "split": repeat(split),
            "features": rows.features,
            "prediction": predictions,
            "probabilities": probabilities,
            "latency_ms": [group.milliseconds for group in groups],
            "error": [group.error for group in groups],
            "fallback": [group.arm != arm for group, arm in zip(groups, assigned, strict=True)],
            "label": [None if label is None else json_text(label) for label in rows.labels],
            "label_time": [None if label is None else now for label in rows.labels],
        }
        by_row = zip(
            *[columns[name] for name in Record._fields], strict=False
        )  # repeat() is endless
        return list(map(Record._make, by_row))

    async def close(self) -> None:
        if self.shadowing:
            await self.shadowing.close()


async def _within(scorer: Scorer, rows: Rows, seconds: float) -> list[Answer]:
    answers = scorer.ask(rows)
    return await (answers if scorer.model.is_quick else asyncio.wait_for(answers, seconds))


def _reason(failure: Exception, milliseconds: float) -> str:
    if isinstance(failure, TimeoutError):
        return f"no answer in {milliseconds:g} ms"
    return f"{type(failure).__name__}: {' '.join(str(failure).split())[:300]}"
