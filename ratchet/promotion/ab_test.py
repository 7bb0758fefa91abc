"""The A/B test that runs now, and its result as a Trial."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from ratchet.errors import InputError
from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Assumed, Window
from ratchet.promotion.counting import trial_of
from ratchet.promotion.requests import DAY, requests_of
from ratchet.promotion.trial import Trial
from ratchet.promotion.units import Answers
from ratchet.registry.registry import LedgerLine, Registry, Version
from ratchet.settings import Settings

Rescore = Callable[[str, pd.DataFrame], Sequence[Any]]  # version, rows of the log: its answers


class Models(Protocol):
    """The versions, asked again about rows of the log."""

    def __call__(self, version: str, rows: pd.DataFrame) -> Sequence[Any]: ...

    def confidence(self, version: str, rows: pd.DataFrame) -> "pd.Series[Any] | None": ...


LOG_COLUMNS = (
    "time",
    "user_id",
    "assigned_arm",
    "split",
    "prediction",
    "label",
    "label_time",
    "latency_ms",
    "error",
    "fallback",
)
COLUMNS_OF_BOTH = ("model_version", "shadow_version", "shadow_prediction", "features")


@dataclass(frozen=True)
class ABTest:
    """The versions under test, and when the test began."""

    model: str
    prod: str
    staging: str
    since: float | None  # the end of an earlier test of the same two versions
    staged: float  # when the second of the two got its alias
    split: float  # for an export that has no column `split`

    @property
    def window(self) -> Window:
        return Window(self.prod, self.staging, model=self.model, since=self.since)

    @property
    def draw(self) -> float:
        """Return the random number in (0, 1] of this test's deadline, the same at each look."""
        key = f"{self.model}:{self.prod}:{self.staging}:{self.since}:{self.staged}"
        return (int(hashlib.sha256(key.encode()).hexdigest()[:13], 16) + 1) / 16**13

    def deleted_days(self, retention_days: float | None, now: float) -> float:
        """Return how many days at the start of the test the log has deleted already."""
        if retention_days is None or not self.staged:
            return 0.0
        return max(0.0, (now - max(self.staged, self.since or 0.0)) / DAY - retention_days)


def current_test(registry: Registry, settings: Settings) -> ABTest | None:
    """Return the test of the versions that are prod and staging now, or None."""
    # Read the ledger before the aliases: the aliases are then never older than the ledger's lines.
    lines = [line for line in registry.ledger() if line.done]
    prod, staging = registry.holder("prod"), registry.holder("staging")
    if prod is None:
        raise InputError(
            f"No alias 'prod' on model '{registry.model}'. Train and gate a model first:"
            " mlflow run . -e train, then -e evaluate"
        )
    if staging is None or staging.number == prod.number:  # another process is moving them
        return None
    ended = [line for line in lines if "decision" in line.tags.get(staging.number, {})]
    staged = [line for line in lines if _staged(line, prod) or _staged(line, staging)]
    return ABTest(
        model=registry.model,
        prod=prod.number,
        staging=staging.number,
        since=_seconds(ended[-1]) if ended else None,
        staged=_seconds(staged[-1]) if staged else 0.0,
        split=settings.ab.split,
    )


def _staged(line: LedgerLine, version: Version) -> bool:
    return version.number in [
        after for alias, (_, after) in line.moves.items() if alias != "previous"
    ]


def _seconds(line: LedgerLine) -> float:
    return datetime.fromisoformat(line.time).timestamp()


def read_trial(source: str, test: ABTest, settings: Settings, models: Models) -> Trial:
    promotion, slices = settings.promotion, settings.data.slices
    needs_both = promotion.method != "ab"
    wants_both = needs_both or settings.ab.shadow
    columns = (*LOG_COLUMNS, *(["features"] if slices else []))
    if wants_both:
        columns = (*LOG_COLUMNS, *COLUMNS_OF_BOTH)
    log, now = read_log(source, test.window, columns, Assumed(test.split, test.staged))
    requests = requests_of(log, promotion, now)
    answers = Answers(test.prod, test.staging)
    if wants_both:
        try:
            answers = both_answers(requests.log.iloc[requests.answered], test, models)
            if promotion.method != "paired":
                starts = requests.log.iloc[requests.starts(promotion.unit)]
                answers = replace(answers, confidence=models.confidence(test.prod, starts))
        except InputError:
            if needs_both:
                raise
    deleted = test.deleted_days(settings.ab.retention_days, now)
    return trial_of(requests, answers, promotion, now, slices, deleted, test.draw)


def both_answers(rows: pd.DataFrame, test: ABTest, rescore: Rescore) -> Answers:
    """Take each version's answers from the log, and ask the model for those that the log lacks."""
    by_version = {}
    for version in (test.prod, test.staging):
        own = rows["prediction"].where(rows["model_version"] == version)
        shadow = rows["shadow_prediction"].where(rows["shadow_version"] == version)
        answers = own.where(own.notna(), shadow).astype(object)
        unknown = answers.isna()
        if unknown.any():
            answers[unknown] = rescore(version, rows[unknown])
        by_version[version] = answers
    return Answers(test.prod, test.staging, by_version[test.prod], by_version[test.staging])
