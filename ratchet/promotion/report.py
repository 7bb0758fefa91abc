"""The outcome of a promotion for machines, for job summaries and for the terminal."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import exp
from typing import Any

from ratchet.promotion.planning import Plan
from ratchet.promotion.promotion import Outcome
from ratchet.promotion.trial import Arm, Evidence, Trial
from ratchet.report import Check, Report, Row, markdown_table
from ratchet.settings import PromotionSettings

NAMES = {"A": "arm A, prod", "B": "arm B, staging"}


def content(outcome: Outcome, settings: PromotionSettings) -> dict[str, Any]:
    """Return the content of decision.json: everything that the decision used, except the rows."""
    verdict, trial, test = outcome.verdict, outcome.trial, outcome.test
    return {
        "decision": outcome.decision,
        "reason": outcome.sentence,
        "promoted": promoted(outcome),
        "checks": [asdict(check) for check in verdict.checks] if verdict else [],
        "evidence": asdict(verdict.evidence) if verdict else None,
        "arms": {"A": _arm(trial.a), "B": _arm(trial.b)} if trial else {},
        "slices": [asdict(one) for one in trial.slices] if trial else [],
        "splits": trial.splits if trial else {},
        "versions": {"prod": test.prod, "staging": test.staging} if test else {},
        "window": {"from": _when(trial.window[0]), "to": _when(trial.window[1])} if trial else None,
        "watch": _watch(outcome),
        "aliases": outcome.aliases,
        "settings": settings.model_dump(),
    }


def _watch(outcome: Outcome) -> dict[str, Any] | None:
    watch = outcome.watch
    return asdict(watch) | {"proposes_rollback": watch.proposes_rollback} if watch else None


def _arm(arm: Arm) -> dict[str, Any]:
    return asdict(arm) | {"mean": arm.mean}


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def promoted(outcome: Outcome) -> bool:
    return outcome.decision == "promote" and outcome.line is not None


def arm_rows(trial: Trial) -> list[Row]:
    return [arm_row("A", trial.a), arm_row("B", trial.b)]


def arm_row(name: str, arm: Arm) -> Row:
    return {
        "": NAMES[name],
        "version": f"v{arm.version}",
        "users": f"{arm.users:,}",
        "requests": f"{arm.requests:,}",
        "labelled": f"{arm.labelled:,}",
        "right": _share(arm.mean),
        "interval": " to ".join(_share(end) for end in arm.interval),
        "failed": f"{arm.failed:,}",
        "p99": None if arm.latency_p99_ms is None else f"{arm.latency_p99_ms:.1f} ms",
    }


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def check_rows(outcome: Outcome) -> list[Row]:
    return [check_row(check) for check in (outcome.verdict.checks if outcome.verdict else [])]


def check_row(check: Check) -> Row:
    return {
        "check": check.name,
        "": "passed" if check.passed else "FAILED",
        "result": check.note,
    }


def slice_rows(trial: Trial) -> list[Row]:
    return [
        {
            "slice": one.name,
            "labelled, prod and staging": "{:,} and {:,}".format(*one.labelled),
            "right, prod": _share(one.mean[0]),
            "right, staging": _share(one.mean[1]),
            "e-value for worse": as_e_value(one.log_e_worse),
        }
        for one in trial.slices
    ]


def evidence_rows(evidence: Evidence) -> list[Row]:
    sides = [("good enough", evidence.log_e_promote), ("worse", evidence.log_e_reject)]
    if evidence.log_e_missing_wrong is not None:
        name = "good enough, if a missing label is a wrong answer"
        sides.insert(1, (name, evidence.log_e_missing_wrong))
    return [
        {
            "evidence that staging is": side,
            "e-value": as_e_value(log_e),
            "decides at": as_e_value(evidence.threshold),
            "labelled": f"{evidence.labelled:,}",
            "method": evidence.method,
        }
        for side, log_e in sides
    ]


def as_e_value(log_e: float) -> str:
    """
    >>> as_e_value(2.9957), as_e_value(40.0)
    ('20.0', '2.4e+17')
    """
    value = exp(min(log_e, 700))
    return f"{value:.1f}" if value < 1e5 else f"{value:.1e}"


def markdown(outcome: Outcome) -> str:
    parts = ["## Promotion", f"**{outcome.sentence}**"]
    if outcome.watch:
        parts.append(f"Prod: {outcome.watch.sentence}.")
    if outcome.trial:
        trial = outcome.trial
        rows = (arm_rows(trial), evidence_rows(trial.evidence), check_rows(outcome))
        parts += [markdown_table(one) for one in (*rows, slice_rows(trial))]
    parts.append(", ".join(f"{alias}: v{number}" for alias, number in outcome.aliases.items()))
    return "\n\n".join(filter(None, parts)) + "\n"


def plan_rows(plans: Sequence[Plan], units_a_day: int) -> list[Row]:
    return [
        {
            "true difference": f"{100 * plan.difference:+.1f} points",
            "promoted": f"{100 * plan.promoted:.0f} %",
            "rejected": f"{100 * plan.rejected:.0f} %",
            "half decided after": _units_and_days(plan.median, plan, units_a_day),
            "nine in ten": _units_and_days(plan.most, plan, units_a_day),
        }
        for plan in plans
    ]


def _units_and_days(units: int | None, plan: Plan, units_a_day: int) -> str:
    if units is None:
        return f"not within {plan.horizon:,}"
    return f"{units:,} labelled, {units / units_a_day:.1f} days"


def plan_sentence(settings: PromotionSettings, split: float, accuracy: float) -> str:
    question = f"not worse by {100 * settings.margin:g} points" if settings.margin else "better"
    sentence = (
        f"Is staging {question}? Prod's accuracy is {accuracy:g}, arm B's share {split:g}, alpha"
        f" {settings.alpha:g} per side; a unit is a labelled {settings.unit}."
    )
    extra = settings.min_days, settings.window_days + settings.maturity_hours / 24
    if any(extra):
        sentence += (
            f" Add {extra[1]:g} days until a user counts. No promotion comes before day"
            f" {extra[0]:g}."
        )
    if settings.method != "ab":
        sentence += f" Simulated with method ab; method {settings.method} needs fewer."
    return sentence


def plan_report(
    plans: Sequence[Plan],
    settings: PromotionSettings,
    split: float,
    accuracy: float,
    units_a_day: int,
) -> Report:
    rows, sentence = plan_rows(plans, units_a_day), plan_sentence(settings, split, accuracy)
    text = f"## How long a test takes\n\n{sentence}\n\n{markdown_table(rows)}\n"
    return Report("plan", {"plan": [asdict(one) for one in plans]}, text)
