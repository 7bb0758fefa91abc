"""The gate's report for machines, for job summaries and for the terminal."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ratchet.evaluation.gate import smallest_visible_difference
from ratchet.evaluation.judge import Judgement, Settlement
from ratchet.report import Report, Row, markdown_table
from ratchet.settings import Settings


def gate_report(
    judgements: Sequence[Judgement],
    settlement: Settlement,
    aliases: dict[str, str],
    settings: Settings,
) -> Report:
    rows, metrics = verdict_rows(judgements, settings.metric), metric_rows(judgements)
    parts = ["## Gate", settlement.sentence, markdown_table(rows)]
    if metrics:
        parts += [
            "On the audit half of the holdout, with the difference to prod:",
            markdown_table(metrics),
        ]
    content = {
        "model": settings.model,
        "sentence": settlement.sentence,
        "moved": settlement.moved,
        "judged": settlement.judged,
        "logged": settlement.logged,
        "verdicts": {one.version.number: asdict(one.verdict) for one in judgements},
        "aliases": aliases,
    }
    text = "\n\n".join(filter(None, [*parts, *notes(judgements, settlement)])) + "\n"
    return Report("evaluate", content, text, {"moved": str(settlement.moved is not None).lower()})


def notes(judgements: Sequence[Judgement], settlement: Settlement) -> list[str]:
    comparisons = [one.verdict.comparison for one in judgements if one.verdict.comparison]
    sentences = [smallest_visible_difference(comparisons[0])] if comparisons else []
    if judgements:
        sentences.append(
            f"This holdout has judged {settlement.judged} versions. Its selection half ranks them;"
            " the metrics above are of its audit half."
        )
    if settlement.logged:
        sentences.append(
            f"{settlement.logged:,} labelled requests since the last gate are in the audit half;"
            " no version was selected on them."
        )
    return sentences


def verdict_rows(judgements: Sequence[Judgement], metric: str) -> list[Row]:
    return [_verdict_row(one, metric) for one in judgements]


def _verdict_row(judgement: Judgement, metric: str) -> Row:
    verdict, comparison = judgement.verdict, judgement.verdict.comparison
    row: dict[str, Any] = {
        "version": str(judgement.version),
        "gate": "passed" if verdict.passed else "rejected",
        f"{metric}, selection": verdict.score,
        f"{metric}, audit": verdict.scores.get(metric),
        "minus prod": None,
        "interval": None,
        "McNemar p": None,
        "reason": verdict.reason,
    }
    if comparison:
        row["minus prod"] = comparison.difference
        row["interval"] = f"{comparison.low:+.4f} to {comparison.high:+.4f}"
        row["McNemar p"] = comparison.mcnemar_p
    return row


def metric_rows(judgements: Sequence[Judgement]) -> list[Row]:
    return [_metric_row(one) for one in judgements]


def _metric_row(judgement: Judgement) -> Row:
    comparison = judgement.verdict.comparison
    prod = {name: theirs for name, (_, theirs) in comparison.metrics.items()} if comparison else {}
    return {"version": str(judgement.version)} | {
        name: f"{value:.4f} ({value - prod[name]:+.4f})" if name in prod else value
        for name, value in judgement.verdict.scores.items()
    }
