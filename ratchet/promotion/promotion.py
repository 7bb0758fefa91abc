"""From a decision to the aliases: promote, reject, and the way back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from ratchet.errors import InputError
from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Assumed, Window
from ratchet.promotion.counting import requests_of, trial_of
from ratchet.promotion.decision import Verdict, decide
from ratchet.promotion.evidence import Answers
from ratchet.promotion.rescoring import Rescorer
from ratchet.promotion.trial import Trial
from ratchet.registry.registry import LedgerLine, Overtaken, Registry, Version
from ratchet.settings import Settings

ACTIONS = ("auto", "promote", "reject", "rollback")
BY_HAND = ("promote", "reject")

Rescore = Callable[[str, pd.DataFrame], Sequence[Any]]  # a version, rows of the log: its answers


LOG_COLUMNS = (
    "time",
    "user_id",
    "assigned_arm",
    "model_version",
    "split",
    "prediction",
    "label",
    "label_time",
    "latency_ms",
    "error",
    "fallback",
    "shadow_version",
    "shadow_prediction",
)


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


@dataclass(frozen=True)
class Move:
    """What is to be written: aliases, and the tags of the versions that they concern."""

    to: dict[str, str | None]
    tags: dict[str, dict[str, str]]
    reason: str
    run: str


@dataclass(frozen=True)
class Outcome:
    """What was decided, what moved, and on what."""

    decision: str  # promote, reject, keep_testing or rollback
    sentence: str
    aliases: dict[str, str]
    test: ABTest | None = None
    trial: Trial | None = None
    verdict: Verdict | None = None
    line: LedgerLine | None = None  # None: nothing moved


def promote(
    registry: Registry, settings: Settings, action: str, reason: str, source: str, run: str,
    dry_run: bool = False,
) -> Outcome:  # fmt: skip
    """`run`: the one that holds the evidence."""
    seen = registry.aliases()
    if action == "rollback":
        move = way_back(registry, reason, run)
        return _carried_out(registry, Outcome(action, move.reason, seen), move, dry_run)
    test = ab_test_at_hand(registry, settings)
    if test is None:
        if action in BY_HAND:
            raise InputError(
                f"action={action}: no version is staging. See mlflow run . -e evaluate"
            )
        return Outcome("keep_testing", "No version is staging: nothing is being tested.", seen)
    trial, missing = _trial(registry, settings, source, test, by_hand=action in BY_HAND)
    verdict = decide(trial, settings.promotion) if trial else None
    decision, told = action, f"{action} by hand: {reason}"
    if verdict and action == "auto":
        decision, told = str(verdict.decision), _told(verdict)
    outcome = Outcome(decision, told + missing, seen, test, trial, verdict)
    if decision == "keep_testing":
        return outcome
    return _carried_out(registry, outcome, move_for(decision, told, test, run), dry_run)


def _told(verdict: Verdict) -> str:
    return f"{verdict.decision.replace('_', ' ')}: {verdict.reason}"


def _trial(
    registry: Registry, settings: Settings, source: str, test: ABTest, by_hand: bool
) -> tuple[Trial | None, str]:
    """By hand, a person's word is enough where the log cannot be read."""
    try:
        return judge_test(source, test, settings, Rescorer(registry)), ""
    except InputError as error:
        if not by_hand:
            raise
        return None, f" (without evidence: {error})"


def _carried_out(registry: Registry, outcome: Outcome, move: Move, dry_run: bool) -> Outcome:
    if dry_run:
        return replace(outcome, sentence=f"{outcome.sentence} (a dry run: nothing moved)")
    try:
        line = registry.move(move.to, move.reason, move.run, move.tags, expected=outcome.aliases)
    except Overtaken as by:
        return replace(
            outcome,
            sentence=f"Nothing moved: another process was first ({by.line.reason})",
            aliases=registry.aliases(),
        )
    return replace(outcome, line=line, aliases=registry.aliases())


def ab_test_at_hand(registry: Registry, settings: Settings) -> ABTest | None:
    """The versions that are prod and staging now; None where nothing is tested."""
    # The ledger first, and of it what is done: aliases are never older than what it says of them.
    lines = [line for line in registry.ledger() if line.done]
    prod, staging = registry.holder("prod"), registry.holder("staging")
    if prod is None:
        raise InputError(
            f"No alias 'prod' on model '{registry.model}'. Train and gate a model first:"
            " mlflow run . -e train, then -e evaluate"
        )
    if staging is None or staging.number == prod.number:  # another process is moving them
        return None
    ended = [line for line in lines if _decided(line, staging)]
    arrived = [line for line in lines if _brought(line, prod) or _brought(line, staging)]
    return ABTest(
        model=registry.model,
        prod=prod.number,
        staging=staging.number,
        since=_seconds(ended[-1]) if ended else None,
        staged=_seconds(arrived[-1]) if arrived else 0.0,
        split=settings.ab.split,
    )


def _decided(line: LedgerLine, version: Version) -> bool:
    return "decision" in line.tags.get(version.number, {})


def _brought(line: LedgerLine, version: Version) -> bool:
    return version.number in [
        after for alias, (_, after) in line.moves.items() if alias != "previous"
    ]


def _seconds(line: LedgerLine) -> float:
    return datetime.fromisoformat(line.time).timestamp()


def judge_test(source: str, test: ABTest, settings: Settings, rescore: Rescore) -> Trial:
    promotion, slices = settings.promotion, settings.data.slices
    needed = promotion.method != "ab"
    asked = needed or settings.ab.shadow
    columns = (*LOG_COLUMNS, "features") if slices or asked else LOG_COLUMNS
    log, now = read_log(source, test.window, columns, Assumed(test.split, test.staged))
    requests = requests_of(log, promotion, now)
    answers = Answers(test.prod, test.staging)
    if asked:
        try:
            answers = both_answers(requests.log.iloc[requests.units], test, rescore)
        except InputError:
            if needed:
                raise
    return trial_of(requests, answers, promotion, now, slices)


def both_answers(rows: pd.DataFrame, test: ABTest, rescore: Rescore) -> Answers:
    """From the log where it holds them, from the models where it does not."""
    found = {}
    for version in (test.prod, test.staging):
        given = rows["prediction"].where(rows["model_version"] == version)
        shadow = rows["shadow_prediction"].where(rows["shadow_version"] == version)
        answers = given.where(given.notna(), shadow).astype(object)
        unknown = answers.isna()
        if unknown.any():
            answers[unknown] = rescore(version, rows[unknown])
        found[version] = answers
    return Answers(test.prod, test.staging, found[test.prod], found[test.staging])


def move_for(decision: str, told: str, test: ABTest, run: str) -> Move:
    decided = {"decision_reason": told, "decision_run": run}
    if decision == "promote":
        to = {"prod": test.staging, "previous": test.prod, "staging": None}
        return Move(to, {test.staging: {"decision": "promoted", **decided}}, told, run)
    rejected = {"decision": "rejected", **decided, "verdict": "rejected", "verdict_reason": told}
    return Move({"staging": None}, {test.staging: rejected}, told, run)


def way_back(registry: Registry, reason: str, run: str) -> Move:
    """`previous` is prod again, and what was prod before it is the new `previous`."""
    prod, previous = registry.holder("prod"), registry.holder("previous")
    if prod is None or previous is None:
        raise InputError(
            f"No alias 'previous' on model '{registry.model}': nothing was promoted, so there is"
            " nothing to go back to. See make history"
        )
    told = f"rollback by hand: {reason or 'no reason given'}"
    bad = {"decision": "rolled back", "decision_reason": told, "decision_run": run}
    return Move(
        {"prod": previous.number, "previous": _before(registry, previous, prod)},
        {prod.number: {**bad, "verdict": "rejected", "verdict_reason": told}},
        told,
        run,
    )


def _before(registry: Registry, version: Version, bad: Version) -> str | None:
    """What `version` itself once took the place of, unless it was found bad since."""
    known = {one.number: one for one in registry.versions()}
    for line in reversed(registry.ledger()):
        before, after = line.moves.get("prod", (None, None))
        if after == version.number and before in known and before != bad.number:
            return before if known[before].verdict != "rejected" else None
    return None
