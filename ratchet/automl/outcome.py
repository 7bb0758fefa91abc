"""What the search leaves to read, and the config it leaves to train."""

from pathlib import Path
from typing import Any

import yaml

from ratchet.automl.candidates import Candidate, draw, leaderboard, rows
from ratchet.automl.finding import Found
from ratchet.model.spec import ModelSpec
from ratchet.report import REPORTS, Report, markdown_table
from ratchet.settings import Metric, Settings

FOLDER = REPORTS / "automl"


def board_rows(found: Found, settings: Settings) -> list[dict[str, Any]]:
    return rows(leaderboard(found.candidates, settings.metric), settings.metric)


def report(found: Found, settings: Settings, version: str | None) -> Report:
    board = leaderboard(found.candidates, settings.metric)
    if board:
        draw(board, settings.metric, FOLDER / "leaderboard.png")
    if found.winner and found.trained:
        write_config(found.winner, found.trained.spec, settings.metric, FOLDER / "automl.yaml")
    lines = rows(board, settings.metric)
    text = [f"## AutoML\n\n{markdown_table(lines)}", sentence(found, settings, version)]
    failures = {one.estimator: one.reason for one in found.failures}
    text += [f"{name} failed: {reason}" for name, reason in failures.items()]
    return Report(
        "automl", _content(found, lines, version), "\n\n".join(text) + "\n",
        {"found": str(found.trained is not None).lower(), "version": version or ""}
        | {"delivery": settings.automl.delivery},
    )  # fmt: skip


def _content(found: Found, lines: list[dict[str, Any]], version: str | None) -> dict[str, Any]:
    return {
        "winner": found.winner.name if found.winner else None,
        "config": found.trained.spec.as_config() if found.trained else None,
        "agreement": found.agreement,
        "metrics": found.trained.metrics if found.trained else None,
        "version": version,
        "leaderboard": lines,
        "failures": {one.estimator: one.reason for one in found.failures},
    }


def sentence(found: Found, settings: Settings, version: str | None) -> str:
    metric, winner, trained = settings.metric, found.winner, found.trained
    if winner is None or trained is None or found.agreement is None:
        return "No model was found: the search was stopped, or every candidate failed."
    return (
        f"{winner.name}: {metric} {winner.scores[metric]:.4f} over folds,"
        f" {trained.metrics[metric]:.4f} on the holdout. Trained by the project's code it answers"
        f" {found.agreement:.1%} of the sample like PyCaret's own."
        + (f" It is v{version}; the gate: mlflow run . -e evaluate" if version else "")
    )


def write_config(candidate: Candidate, spec: ModelSpec, metric: Metric, path: Path) -> None:
    score = f"{metric} {candidate.scores[metric]:.4f} over {len(candidate.folds)} folds"
    content = {key: value for key, value in spec.as_config().items() if value}
    text = yaml.safe_dump(content, sort_keys=False)
    path.write_text(f"# Found by PyCaret: {candidate.name}, {score}.\n{text}", encoding="utf-8")
