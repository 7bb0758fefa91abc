"""The report of a scoring run."""

from dataclasses import asdict
from typing import Any

from ratchet.report import Report, markdown_table
from ratchet.scoring.scoring import Outcome


def rows(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {"prediction": label, "rows": count, "share": count / outcome.rows}
        for label, count in outcome.classes.items()
    ]


def sentence(outcome: Outcome) -> str:
    request = outcome.request
    kept = f", {outcome.kept:,} of them by a run that was stopped" if outcome.kept else ""
    refused = f"; {outcome.refused:,} rows were refused" if outcome.refused else ""
    return (
        f"{request.out} has {outcome.rows:,} rows of {request.data}, scored by"
        f" {outcome.version}{kept}{refused}"
    )


def score_report(outcome: Outcome) -> Report:
    content = {
        **asdict(outcome.request),
        "version": outcome.version.number,
        "form": outcome.form,
        "files": outcome.files,
        "rows": outcome.rows,
        "rows_of_a_stopped_run": outcome.kept,
        "refused": outcome.refused,
        "refused_examples": list(outcome.examples),
        "classes": outcome.classes,
    }
    examples = "".join(f"- {one}\n" for one in outcome.examples)
    parts = ["## Score", sentence(outcome), markdown_table(rows(outcome)), examples]
    outputs = {"rows": str(outcome.rows), "refused": str(outcome.refused)}
    return Report("score", content, "\n\n".join(filter(None, parts)) + "\n", outputs)
