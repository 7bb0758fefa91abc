"""The report of a traffic run."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ratchet.report import Report, markdown_table
from ratchet.traffic.agreement import Agreement
from ratchet.traffic.sending import OUTCOMES_KEPT, Outcome, Sent
from ratchet.traffic.traffic import Parameters

NOT_COMPARED = (
    "the log was not checked. To check it, set RATCHET_ADMIN_TOKEN to the service's token, or log"
    " to the address of the log's database"
)


def traffic_report(parameters: Parameters, outcome: Outcome, agreement: Agreement | None) -> Report:
    rows = rows_by_arm(outcome)
    content = {
        "wanted": parameters.without_passwords(),
        "arms": rows,
        "seconds": outcome.seconds,
        "unanswered": outcome.unanswered,
        "log": asdict(agreement) if agreement else None,
    }
    markdown = f"## Traffic\n\n{markdown_table(rows)}\n\n{summary(outcome, agreement)}\n"
    agrees = str(agreement.holds).lower() if agreement else "unknown"
    return Report("traffic", content, markdown, {"agrees": agrees})


def summary(outcome: Outcome, agreement: Agreement | None) -> str:
    """Return how many requests were answered, and whether the log agrees with the answers."""
    comparison = _comparison(agreement) if agreement else NOT_COMPARED
    lines = [f"{len(outcome.sent)} requests were answered in {outcome.seconds:.1f} s; {comparison}"]
    lines += [
        f"{count} requests were not answered: {why}" for why, count in outcome.unanswered.items()
    ]
    return "\n".join(lines)


def _comparison(agreement: Agreement) -> str:
    if agreement.holds:
        return (
            f"the log has all {agreement.compared} of them, with the same values"
            f" (and {agreement.others} requests of other clients)"
        )
    return (
        f"the log is not complete: of {agreement.compared} requests, {agreement.missing} are"
        f" missing, {agreement.twice} are there twice, {agreement.different} have other values"
    )


def rows_by_arm(outcome: Outcome) -> list[dict[str, Any]]:
    """Return one row of the report's table for each arm and version."""
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in outcome.sent:
        key = (one.answer["variant"], one.answer["model_version"])
        groups.setdefault(key, []).append(one)
    return [
        {"arm": arm, "version": version, **_figures(groups[arm, version])}
        for arm, version in sorted(groups)
    ]


def _figures(sent: list[Sent]) -> Mapping[str, Any]:
    import numpy as np

    right = [s.answer["prediction"] == s.label for s in sent if s.outcome in OUTCOMES_KEPT]
    milliseconds = [one.seconds * 1000 for one in sent]
    return {
        "users": len({one.request.user_id for one in sent}),
        "requests": len(sent),
        "labelled": len(right),
        "right": sum(right) / len(right) if right else None,
        "median ms": float(np.median(milliseconds)),
        "p99 ms": float(np.quantile(milliseconds, 0.99)),
    }
