"""The check as one page that needs no network: a row a feature, sortable, both distributions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.drift.comparison import ANSWERS, Difference, worst_first
from ratchet.drift.drift import Findings
from ratchet.drift.pictures import picture
from ratchet.drift.report import said
from ratchet.profile.profile import Counts
from ratchet.report import html_page

TEMPLATE = Path(__file__).with_name("page.html")
COLUMNS = ("feature", "kind", "verdict", "PSI", "KS", "p-value", "missing then", "missing now",
           "unseen", "picture")  # fmt: skip
WORDS = (*COLUMNS[:3], "picture")


@dataclass(frozen=True)
class Cell:
    text: str
    value: float | None = None  # what a number is sorted by; -1: there is none


@dataclass(frozen=True)
class Line:
    cells: list[Cell]
    picture: str
    drifted: bool


def page(found: Findings) -> str:
    drift = found.drift
    answers = {ANSWERS[part]: one for part, one in drift.answers.items()}
    pairs = {words: (getattr(found.reference, part), getattr(found.current, part))
             for part, words in ANSWERS.items()}  # fmt: skip
    features = {name: drift.features[name] for name in worst_first(drift.features)}
    before, now = found.reference.features, found.current.features
    return html_page(
        TEMPLATE,
        title=f"Drift of {found.model}",
        verdict=found.conclusion.verdict,
        reason=found.conclusion.reason,
        sides=found.sides,
        findings=found.sentences,
        limits=found.limits_in_words,
        columns=COLUMNS,
        words=WORDS,
        answers=list(_lines(answers, pairs)),
        rows=list(_lines(features, {name: (before[name], now[name]) for name in features})),
    )


def _lines(
    differences: Mapping[str, Difference], counts: Mapping[str, tuple[Counts, Counts]]
) -> Iterator[Line]:
    from markupsafe import Markup

    for name, one in differences.items():
        numbers = [
            _number(one.psi, ".4f"), _number(one.ks, ".4f"), _p_value(one),
            _number(one.missing.reference, ".2%"), _number(one.missing.current, ".2%"),
            _number(one.unseen, ".2%"),
        ]  # fmt: skip
        cells = [Cell(name), Cell(one.kind), Cell(one.verdict), *numbers]
        yield Line(cells, Markup(picture(*counts[name])), one.drifted)  # noqa: S704


def _p_value(one: Difference) -> Cell:
    return Cell("", -1) if one.p_value is None else Cell(said(one.p_value), one.p_value)


def _number(value: float | None, shape: str) -> Cell:
    return Cell("", -1) if value is None else Cell(f"{value:{shape}}", value)
