"""The report as one HTML page without network access: a sortable row per feature."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.drift.comparison import ANSWERS, worst_first
from ratchet.drift.difference import Difference
from ratchet.drift.drift import Findings
from ratchet.drift.pictures import picture
from ratchet.drift.report import p_value_text
from ratchet.profile.profile import Counts
from ratchet.report import html_page

TEMPLATE = Path(__file__).with_name("page.html")
TEXT_COLUMNS = ("feature", "kind", "verdict")
NUMBER_COLUMNS = ("PSI", "KS", "p-value", "missing then", "missing now", "unseen")


@dataclass(frozen=True)
class Cell:
    text: str
    value: float | None = None  # a number sorts by it; -1 if there is none


@dataclass(frozen=True)
class Line:
    cells: list[Cell]
    picture: str
    drifted: bool


def page(findings: Findings) -> str:
    drift = findings.drift
    answers = {ANSWERS[part]: one for part, one in drift.answers.items()}
    pairs = {
        name: (getattr(findings.reference, part), getattr(findings.current, part))
        for part, name in ANSWERS.items()
    }
    features = {name: drift.features[name] for name in worst_first(drift.features)}
    before, now = findings.reference.features, findings.current.features
    return html_page(
        TEMPLATE,
        title=f"Drift of {findings.model}",
        verdict=findings.conclusion.verdict,
        reason=findings.conclusion.reason,
        sides=findings.sides,
        findings=findings.sentences,
        limits=findings.limits_in_words,
        columns=(*TEXT_COLUMNS, *NUMBER_COLUMNS, "picture"),
        words=(*TEXT_COLUMNS, "picture"),
        answers=list(_lines(answers, pairs)),
        rows=list(_lines(features, {name: (before[name], now[name]) for name in features})),
    )


def _lines(
    differences: Mapping[str, Difference], counts: Mapping[str, tuple[Counts, Counts]]
) -> Iterator[Line]:
    from markupsafe import Markup

    for name, one in differences.items():
        numbers = [
            _number(one.psi, ".4f"),
            _number(one.ks, ".4f"),
            _p_value(one),
            _number(one.missing.reference, ".2%"),
            _number(one.missing.current, ".2%"),
            _number(one.unseen, ".2%"),
        ]
        cells = [Cell(name), Cell(one.kind), Cell(one.verdict), *numbers]
        yield Line(cells, Markup(picture(*counts[name])), one.drifted)  # noqa: S704


def _p_value(one: Difference) -> Cell:
    return Cell("", -1) if one.p_value is None else Cell(p_value_text(one.p_value), one.p_value)


def _number(value: float | None, shape: str) -> Cell:
    return Cell("", -1) if value is None else Cell(f"{value:{shape}}", value)
