"""The decision as one HTML page that needs no network."""

from math import exp
from pathlib import Path
from typing import Any

from ratchet.promotion.promotion import Outcome
from ratchet.promotion.report import (
    NAMES,
    arm_rows,
    check_rows,
    content,
    evidence_rows,
    markdown,
    promoted,
    slice_rows,
)
from ratchet.promotion.trial import Arm, Evidence, Trial
from ratchet.report import Report, html_page
from ratchet.settings import PromotionSettings, Settings

TEMPLATE = Path(__file__).with_name("page.html")
BLUE, ORANGE, GREY = "var(--blue)", "var(--orange)", "var(--soft)"
WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM = 832, 260, 60, 90, 34


def promotion_report(outcome: Outcome, settings: Settings) -> Report:
    return Report(
        "promote",
        content(outcome, settings.promotion),
        markdown(outcome),
        {
            "decision": outcome.decision,
            "promoted": str(promoted(outcome)).lower(),
            "rollback_proposed": str(_proposes_rollback(outcome)).lower(),
        },
        page(outcome, settings),
        json_alias="decision",
        message=_message(outcome, settings.model),
    )


def _proposes_rollback(outcome: Outcome) -> bool:
    return outcome.watch is not None and outcome.watch.proposes_rollback


def _message(outcome: Outcome, model: str) -> str:
    if outcome.watch and _proposes_rollback(outcome):
        return f"Model '{model}': {outcome.watch.sentence}"
    return f"Model '{model}': {outcome.sentence}" if outcome.line else ""


def page(outcome: Outcome, settings: Settings) -> str:
    return html_page(
        TEMPLATE,
        title=f"Promotion of {settings.model}",
        verdict=outcome.decision,
        sentence=outcome.sentence,
        aliases=", ".join(f"{alias} is v{number}" for alias, number in outcome.aliases.items()),
        watch=outcome.watch.sentence if outcome.watch else "",
        trial=outcome.trial,
        **(_of_trial(outcome, outcome.trial, settings.promotion) if outcome.trial else {}),
    )


def _of_trial(outcome: Outcome, trial: Trial, settings: PromotionSettings) -> dict[str, Any]:
    from markupsafe import Markup

    evidence, question = trial.evidence, "better"
    if settings.margin:
        question = f"not worse by {100 * settings.margin:g} points"
    return {
        "window": content(outcome, settings)["window"],
        "costs": settings.costs,
        "sure": f"{100 * (1 - settings.alpha):g} %",
        "unit": settings.unit,
        "question": question,
        "threshold": f"{exp(evidence.threshold):.0f}",
        "alpha": f"{100 * settings.alpha:g} %",
        "arms": arm_rows(trial),
        "evidence": evidence_rows(evidence),
        "checks": check_rows(outcome),
        "slices": slice_rows(trial),
        "arms_picture": Markup(arms_picture(trial)),  # noqa: S704  numbers alone
        "curve_picture": Markup(curve_picture(evidence)),  # noqa: S704
        "confusions": [_confusion(name, arm) for name, arm in (("A", trial.a), ("B", trial.b))],
        "exact": evidence,
        "difference": _difference(evidence, settings),
    }


def _difference(evidence: Evidence, settings: PromotionSettings) -> str:
    if evidence.difference is None:
        return "unknown"
    low, high = evidence.interval
    return (
        f"{100 * evidence.difference:+.2f} points, between {100 * low:+.2f} and {100 * high:+.2f}"
        f" (confidence {100 * (1 - settings.alpha):g} % per side)"
    )


def _confusion(name: str, arm: Arm) -> tuple[str, list[str], list[tuple[str, list[int]]]]:
    answers = sorted({answer for counts in arm.confusion.values() for answer in counts})
    rows = [
        (truth, [counts.get(one, 0) for one in answers]) for truth, counts in arm.confusion.items()
    ]
    return f"{NAMES[name]}, v{arm.version}", answers, rows


def arms_picture(trial: Trial) -> str:
    low = min(trial.a.interval[0], trial.b.interval[0])
    high = max(trial.a.interval[1], trial.b.interval[1])

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (share - low) / max(high - low, 1e-9)

    drawn = []
    for row, (name, arm, colour) in enumerate(
        (("prod", trial.a, GREY), ("staging", trial.b, BLUE))
    ):
        y = 24 + 34 * row
        start, end = (x(share) for share in arm.interval)
        drawn.append(
            f'<text x="0" y="{y + 4}">{name}</text><line x1="{start:.1f}" x2="{end:.1f}" y1="{y}"'
            f' y2="{y}" stroke="{colour}" stroke-width="8" stroke-opacity=".35"/>'
        )
        if arm.mean is not None:
            drawn.append(
                f'<circle cx="{x(arm.mean):.1f}" cy="{y}" r="6" fill="{colour}"/>'
                f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4}">{100 * arm.mean:.2f} %</text>'
            )
    ends = (
        f'<text x="{LEFT}" y="88">{100 * low:.1f} %</text>'
        f'<text x="{WIDTH - RIGHT}" y="88" text-anchor="end">{100 * high:.1f} %</text>'
    )
    return _svg(96, "Both arms with their intervals", "".join(drawn) + ends)


def curve_picture(evidence: Evidence) -> str:
    """Return the e-values on a logarithmic axis over labelled units, and the threshold dashed."""
    if not evidence.curve:
        return ""
    floor = -evidence.threshold
    top = 1.15 * max(evidence.threshold, evidence.log_e_promote, evidence.log_e_reject)
    last = evidence.curve[-1][0]

    def y(log_e: float) -> float:
        return 10 + (HEIGHT - BOTTOM - 10) * (top - max(log_e, floor)) / (top - floor)

    def x(labelled: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * labelled / last

    def line(side: int, colour: str, name: str) -> str:
        points = " ".join(f"{x(point[0]):.1f},{y(point[side]):.1f}" for point in evidence.curve)
        end = y(evidence.curve[-1][side])
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{WIDTH - RIGHT + 6}" y="{end + 4:.1f}">{name}</text>'
        )

    edge = WIDTH - RIGHT
    drawn = [
        f'<line x1="{LEFT}" x2="{edge}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="{GREY}"'
        f' stroke-dasharray="{dash}"/><text x="{LEFT - 6}" y="{y(level) + 4:.1f}"'
        f' text-anchor="end">{exp(level):.0f}</text>'
        for level, dash in ((evidence.threshold, "6 4"), (0.0, "1 4"))
    ]
    drawn += [line(1, BLUE, "good enough"), line(2, ORANGE, "worse")]
    drawn.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}">0</text>'
        f'<text x="{edge}" y="{HEIGHT - 8}" text-anchor="end">{last:,} labelled</text>'
    )
    return _svg(HEIGHT, "Evidence over time against its threshold", "".join(drawn))


def _svg(height: int, title: str, drawn: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"><title>{title}</title>'
        f"{drawn}</svg>"
    )
