"""The page about the model, and the reports that it links to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp, isfinite, nan
from pathlib import Path
from typing import Any

from ratchet.promotion.recorded import RecordedDecision
from ratchet.promotion.report import arm_row, check_row, evidence_rows
from ratchet.promotion.trial import Evidence
from ratchet.registry.registry import ALIASES
from ratchet.report import html_page
from ratchet.settings import Settings
from ratchet.site.pictures import Point, Series, chart, sparkline
from ratchet.site.records import Candidate, DriftCheck, History, Move, Run, StepReport

TEMPLATE = Path(__file__).with_name("page.html")
REPORT_TEMPLATE = Path(__file__).with_name("report.html")
OPEN_ROWS = 20  # older ones are behind a click
MAX_CHECKS = 100  # drift checks on the page
MAX_FEATURES = 200
MAX_MOVES = 200
STATUSES = ("waiting", "rejected", "passed")  # the last one is drawn on top


@dataclass(frozen=True)
class Segment:
    """A time during which an alias named a version, as shares of the time line's width."""

    version: str
    left: float
    width: float
    title: str


@dataclass(frozen=True)
class FeatureDrift:
    name: str
    picture: str
    latest: float | None
    highest: float


def index_page(history: History, settings: Settings, written: str) -> str:
    now = datetime.now(UTC)
    checks = history.checks[-MAX_CHECKS:]
    features = list(_features(checks, settings.drift.tau))
    return html_page(
        TEMPLATE,
        title=f"Model {history.model}",
        verdict="",
        sentence=_sentence(history),
        written=f"Written at {minute(now)} UTC{written}.",
        roles=list(_roles(history)),
        lanes=_lanes(history.moves[-MAX_MOVES:], now),
        lane_ends=(minute(history.moves[-MAX_MOVES:][0].time) if history.moves else "", "now"),
        moves=history.moves[: -MAX_MOVES - 1 : -1],
        candidates=history.candidates[::-1],
        metrics=_metrics(history, settings.metric),
        charts=list(_metric_charts(history, settings.metric)),
        checks=checks[::-1],
        features=features[:MAX_FEATURES],
        omitted=max(0, len(features) - MAX_FEATURES),
        tau=settings.drift.tau,
        reports=history.reports,
        report_file=report_file,
        open_rows=OPEN_ROWS,
        minute=minute,
        **_test(history.decision),
    )


def report_page(report: StepReport) -> str:
    """Return the report as HTML. A report that is a page already stays as it is."""
    if report.file_name.endswith(".html"):
        return report.content
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(report.content)
    return html_page(
        REPORT_TEMPLATE,
        title=f"The newest report of {report.step}",
        verdict="",
        run=report.run,
        when=minute(report.run.time),
        content=Markup(rendered),  # noqa: S704  HTML in the Markdown is escaped
    )


def report_file(report: StepReport) -> str:
    return f"report-{report.step}.html"


def minute(time: datetime) -> str:
    """
    >>> minute(datetime(2026, 11, 25, 13, 5, 59, tzinfo=UTC))
    '2026-11-25 13:05'
    """
    return f"{time:%Y-%m-%d %H:%M}"


def _sentence(history: History) -> str:
    if "prod" not in history.aliases:
        return "Nothing is in production yet."
    sentence = f"v{history.aliases['prod']} is in production"
    if "staging" not in history.aliases:
        return f"{sentence}. No version is being tested."
    return f"{sentence}, v{history.aliases['staging']} is tested against it."


def _roles(history: History) -> Iterator[tuple[str, Candidate | None, Move | None]]:
    candidates = {one.number: one for one in history.candidates}
    for alias in ALIASES:
        number = history.aliases.get(alias)
        moves = [m for m in history.moves if m.aliases.get(alias, ("", ""))[1] == number]
        yield alias, candidates.get(number or ""), moves[-1] if number and moves else None


def _lanes(moves: Sequence[Move], now: datetime) -> list[tuple[str, list[Segment]]]:
    if not moves:
        return []
    begin = moves[0].time
    whole = (now - begin).total_seconds() or 1.0
    lanes = []
    for alias in ALIASES:
        own = [move for move in moves if alias in move.aliases]
        ends = [*(move.time for move in own), now][1:]
        segments = [
            Segment(
                f"v{number}",
                100 * (move.time - begin).total_seconds() / whole,
                100 * (end - move.time).total_seconds() / whole,
                f"{alias} was v{number} from {minute(move.time)} to {minute(end)} UTC",
            )
            for move, end in zip(own, ends, strict=True)
            if (number := move.aliases[alias][1])
        ]
        lanes.append((alias, segments))
    return lanes


def _metrics(history: History, first: str) -> list[str]:
    """Return the names of the metrics, the project's own first."""
    names = {name for one in history.candidates if one.run for name in one.run.metrics}
    return sorted(names, key=lambda name: (name != first, name))


def _metric_charts(history: History, first: str) -> Iterator[tuple[str, Any]]:
    from markupsafe import Markup

    for metric in _metrics(history, first):
        pairs = [(one, p) for one in history.candidates if (p := _point(one, metric))]
        if not pairs:
            continue
        days = [p[0] for _, p in pairs]
        prod = _points_of_prod(history, metric, max(days))
        series = [Series("prod", prod, "steps")]
        for status in STATUSES:
            own = [(one, p) for one, p in pairs if one.status == status]
            links = [(f"#v{one.number}", _title(one, p[1])) for one, p in own]
            series.append(
                Series(status, [p for _, p in own], links=links if metric == first else ())
            )
        ends = _time_labels(min(days), max([*days, *(x for x, _ in prod)]))
        yield metric, Markup(chart(f"{metric} over time", series, ends))  # noqa: S704


def _point(candidate: Candidate, metric: str) -> Point | None:
    run = candidate.run
    if run is None or not isfinite(run.metrics.get(metric, nan)):
        return None
    return run.time.timestamp(), run.metrics[metric]


def _points_of_prod(history: History, metric: str, last: float) -> list[Point]:
    """Return the metric of the version that was prod, from each move of prod to the last run."""
    candidates = {one.number: one for one in history.candidates}
    points: list[Point] = []
    for move in history.moves:
        candidate = candidates.get(move.aliases.get("prod", ("", None))[1] or "")
        if candidate and (point := _point(candidate, metric)):
            points.append((move.time.timestamp(), point[1]))
    return [*points, (max(last, points[-1][0]), points[-1][1])] if points else []


def _title(candidate: Candidate, value: float) -> str:
    return f"v{candidate.number} ({candidate.config}), {candidate.status}: {value:.4f}"


def _time_labels(begin: float, end: float) -> tuple[str, str]:
    """Return the first and the last day; if they are the same day, with the time."""
    first, last = (minute(datetime.fromtimestamp(one, UTC)) for one in (begin, end))
    return (first, last) if first[:10] == last[:10] else (first[:10], last[:10])


def _features(checks: Sequence[DriftCheck], tau: float) -> Iterator[FeatureDrift]:
    """Return the features of the checks, those with the highest latest PSI first."""
    from markupsafe import Markup

    if not checks:
        return
    x = (checks[0].run.time.timestamp(), checks[-1].run.time.timestamp())
    names = {name for check in checks for name in check.psi}
    latest = checks[-1].psi
    for name in sorted(names, key=lambda name: (-latest.get(name, -1.0), name)):
        points = [(c.run.time.timestamp(), c.psi[name]) for c in checks if name in c.psi]
        picture = Markup(sparkline(f"PSI of {name}", points, x, tau))  # noqa: S704
        yield FeatureDrift(name, picture, latest.get(name), max(y for _, y in points))


def _test(recorded: tuple[Run, RecordedDecision] | None) -> dict[str, Any]:
    if recorded is None:
        return {"test": None}
    run, decision = recorded
    evidence = decision.evidence
    return {
        "test": decision,
        "test_run": run,
        "arms": [arm_row(name, arm) for name, arm in decision.arms.items()],
        "evidence": evidence_rows(evidence) if evidence else [],
        "test_checks": [check_row(check) for check in decision.checks],
        "curve": _curve(evidence) if evidence and evidence.curve else "",
        "threshold": f"{exp(evidence.threshold):.0f}" if evidence else "",
    }


def _curve(evidence: Evidence) -> Any:
    from markupsafe import Markup

    sides = (("better", 1), ("worse", 2))
    series = [
        Series(style, [(float(one[0]), one[side]) for one in evidence.curve], "line")
        for style, side in sides
    ]
    ends = (f"{evidence.curve[0][0]:,}", f"{evidence.curve[-1][0]:,} labelled")
    drawn = chart("E-values", series, ends, evidence.threshold, lambda log_e: f"{exp(log_e):.3g}")
    return Markup(drawn)  # noqa: S704
