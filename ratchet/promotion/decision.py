"""Promote, reject or keep testing: pure, from what an A/B test left to a verdict."""

from dataclasses import dataclass
from typing import Literal

from ratchet.promotion.checks import enough_check, faults, guardrails, slice_check
from ratchet.promotion.trial import Arm, Evidence, Trial
from ratchet.report import Check
from ratchet.settings import PromotionSettings

Answer = Literal["promote", "reject", "keep_testing"]


@dataclass(frozen=True)
class Verdict:
    decision: Answer
    reason: str
    checks: list[Check]
    evidence: Evidence
    arms: dict[str, Arm]


def decide(trial: Trial, settings: PromotionSettings) -> Verdict:
    """Guardrails before faults before evidence: what harms is taken back whatever else holds."""
    over = settings.deadline_days is not None and trial.days >= settings.deadline_days
    guards, faulty = guardrails(trial, settings), faults(trial)
    enough, slices = enough_check(trial, settings, over), slice_check(trial, settings)
    checks = [*faulty, enough, *guards, slices]

    def verdict(decision: Answer, reason: str) -> Verdict:
        return Verdict(decision, reason, checks, trial.evidence, {"A": trial.a, "B": trial.b})

    if broken := [check for check in guards if not check.passed]:
        return verdict("reject", f"staging harms, {_notes(broken)}")
    if broken := [check for check in faulty if not check.passed]:
        return verdict(*_stopped(_notes(broken), over))
    if not enough.passed:
        return verdict("keep_testing", f"too early to say: {enough.note}")
    if trial.evidence.first == "reject":
        return verdict("reject", _found(trial.evidence, settings))
    if trial.evidence.first == "promote" and not slices.passed:
        return verdict(*_stopped(f"better on the whole, but {slices.note}", over))
    if trial.evidence.first == "promote":
        return verdict("promote", _found(trial.evidence, settings))
    if over:
        return verdict("reject", f"the deadline has passed without proof; {_leads(trial.evidence)}")
    return verdict(
        "keep_testing", f"{_leads(trial.evidence)}, {_forecast(trial.evidence, settings)}"
    )


def _stopped(why: str, over: bool) -> tuple[Answer, str]:
    if over:
        return "reject", f"the deadline has passed, and {why}"
    return "keep_testing", f"stopped, nothing can be decided: {why}"


def _notes(checks: list[Check]) -> str:
    return "; ".join(f"{check.name}: {check.note}" for check in checks)


def _found(evidence: Evidence, settings: PromotionSettings) -> str:
    low, high = evidence.interval
    what = "better" if evidence.first == "promote" else "worse"
    if settings.margin:
        margin = f"{100 * settings.margin:.1f} points"
        what = f"not worse by {margin}" if what == "better" else f"worse by more than {margin}"
    return (
        f"staging is {what}: {_points(evidence.difference)}, between {_points(low)} and"
        f" {_points(high)}, proved after {evidence.first_at:,} labelled {settings.unit}s"
    )


def _leads(evidence: Evidence) -> str:
    if evidence.difference is None:
        return "no labels yet"
    if abs(evidence.difference) < 0.0005:
        return "staging and prod are level"
    word = "leads" if evidence.difference > 0 else "trails"
    return f"staging {word} by {100 * abs(evidence.difference):.1f} points"


def _forecast(evidence: Evidence, settings: PromotionSettings) -> str:
    if evidence.more_needed is None:
        return "and at this rate no number of labels decides before the deadline"
    return f"about {_rounded(evidence.more_needed):,} more labelled {settings.unit}s decide"


def _points(difference: float | None) -> str:
    """
    >>> _points(0.0184)
    '+1.8 points'
    """
    return "unknown" if difference is None else f"{100 * difference:+.1f} points"


def _rounded(count: int) -> int:
    """
    >>> _rounded(873), _rounded(12345), _rounded(7)
    (870, 12000, 7)
    """
    digits = max(0, len(str(count)) - 2)
    return int(round(count, -digits))
