"""The decision of an A/B test: promote, reject or keep testing.

It is a pure function of a Trial (the counts and the evidence of the test) and the settings.
"""

from dataclasses import dataclass
from math import exp
from typing import Literal

from ratchet.promotion.checks import enough_check, faults, guardrails, slice_check
from ratchet.promotion.trial import Arm, Evidence, Trial
from ratchet.report import Check
from ratchet.settings import PromotionSettings

Decision = Literal["promote", "reject", "keep_testing"]


@dataclass(frozen=True)
class Verdict:
    decision: Decision
    reason: str
    checks: list[Check]
    evidence: Evidence
    arms: dict[str, Arm]


def decide(trial: Trial, settings: PromotionSettings) -> Verdict:
    """Decide by the guardrails first, then by faults of the test, then by the evidence.

    A version that harms users is therefore rejected even if the test has faults.
    """
    is_over = settings.deadline_days is not None and trial.days >= settings.deadline_days
    guards, test_faults = guardrails(trial, settings), faults(trial)
    enough, slices = enough_check(trial, settings, is_over), slice_check(trial, settings, is_over)
    checks = [*test_faults, enough, *guards, slices]
    evidence = trial.evidence

    def verdict(decision: Decision, reason: str) -> Verdict:
        return Verdict(decision, reason, checks, evidence, {"A": trial.a, "B": trial.b})

    if failed := [check for check in guards if not check.passed]:
        return verdict("reject", f"staging harms users: {_notes(failed)}")
    if failed := [check for check in test_faults if not check.passed]:
        return verdict(*_stopped(_notes(failed), is_over))
    if not enough.passed:
        return verdict("keep_testing", f"too early to decide: {enough.note}")
    if evidence.first == "reject":
        return verdict("reject", _proof(evidence, settings))
    if evidence.first == "promote" and not slices.passed:
        return verdict(*_waits(f"staging is better on the whole, but {slices.note}", is_over))
    if evidence.first == "promote":
        return verdict("promote", _proof(evidence, settings))
    if is_over:
        return verdict("reject", f"the deadline has passed without proof; {_lead(evidence)}")
    return verdict("keep_testing", f"{_lead(evidence)}, {_forecast(trial, settings)}")


def _stopped(why: str, is_over: bool) -> tuple[Decision, str]:
    if is_over:
        return "reject", f"the deadline has passed, and {why}"
    return "keep_testing", f"stopped, nothing can be decided: {why}"


def _waits(why: str, is_over: bool) -> tuple[Decision, str]:
    if is_over:
        return "reject", f"the deadline has passed; {why}"
    return "keep_testing", why


def _notes(checks: list[Check]) -> str:
    return "; ".join(f"{check.name}: {check.note}" for check in checks)


def _proof(evidence: Evidence, settings: PromotionSettings) -> str:
    low, high = evidence.interval
    word = "better" if evidence.first == "promote" else "worse"
    if settings.margin:
        margin = f"{100 * settings.margin:.1f} points"
        word = f"not worse by {margin}" if word == "better" else f"worse by more than {margin}"
    if evidence.at_deadline and evidence.deadline_threshold is not None:
        return (
            f"staging is {word}: {_points(evidence.difference)}, between {_points(low)} and"
            f" {_points(high)}; the evidence at the deadline is above the limit drawn for it,"
            f" e-value {exp(evidence.deadline_threshold):.1f}"
        )
    return (
        f"staging is {word}: {_points(evidence.difference)}, between {_points(low)} and"
        f" {_points(high)}, proved after {evidence.first_at:,} labelled {settings.unit}s"
    )


def _lead(evidence: Evidence) -> str:
    if evidence.difference is None:
        return "no labels yet"
    if abs(evidence.difference) < 0.0005:
        return "staging and prod are level"
    word = "leads" if evidence.difference > 0 else "trails"
    return f"staging {word} by {100 * abs(evidence.difference):.1f} points"


def _forecast(trial: Trial, settings: PromotionSettings) -> str:
    evidence = trial.evidence
    if evidence.log_e_promote >= evidence.threshold and trial.days < settings.min_days:
        return f"a promotion waits for day {settings.min_days:g} of the test (promotion.min_days)"
    if evidence.log_e_promote >= evidence.threshold and _missing_labels_decide(evidence):
        return (
            "but not if the missing labels are wrong answers"
            " (promotion.labels: missing_at_random ignores them)"
        )
    if evidence.more_needed is None:
        return "and at this rate no number of labels decides before the deadline"
    return f"about {_rounded(evidence.more_needed):,} more labelled {settings.unit}s decide"


def _missing_labels_decide(evidence: Evidence) -> bool:
    second = evidence.log_e_missing_wrong
    return second is not None and second < evidence.threshold


def _points(difference: float | None) -> str:
    """Return the difference in percentage points, with its sign.

    >>> _points(0.0184)
    '+1.8 points'
    """
    return "unknown" if difference is None else f"{100 * difference:+.1f} points"


def _rounded(count: int) -> int:
    """Return the count, rounded to two digits.

    >>> _rounded(873), _rounded(12345), _rounded(7)
    (870, 12000, 7)
    """
    digits = max(0, len(str(count)) - 2)
    return int(round(count, -digits))
