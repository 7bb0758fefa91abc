"""The report of a search: the leaderboard as a table and a picture, and the winner's config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ratchet.automl.candidates import Candidate, leaderboard
from ratchet.automl.winner import SearchResult
from ratchet.model.spec import ModelSpec
from ratchet.report import REPORTS, Report, markdown_table
from ratchet.settings import Metric, Settings

FOLDER = REPORTS / "automl"


def report(result: SearchResult, settings: Settings, version: str | None) -> Report:
    board = leaderboard(result.candidates, settings.metric)
    if board:
        draw(board, settings.metric, FOLDER / "leaderboard.png")
    if result.winner and result.trained:
        write_config(result.winner, result.trained.spec, settings.metric, FOLDER / "automl.yaml")
    table = rows(board, settings.metric)
    failures = {one.estimator: one.reason for one in result.failures}
    paragraphs = [f"## AutoML\n\n{markdown_table(table)}", summary(result, settings, version)]
    paragraphs += [f"{name} failed: {reason}" for name, reason in failures.items()]
    content = {
        "winner": result.winner.name if result.winner else None,
        "config": result.trained.spec.as_config() if result.trained else None,
        "agreement": result.agreement,
        "warning": warning(result, settings),
        "metrics": result.trained.metrics if result.trained else None,
        "version": version,
        "leaderboard": table,
        "failures": failures,
    }
    outputs = {
        "found": str(result.trained is not None).lower(),
        "version": version or "",
        "delivery": settings.automl.delivery,
    }
    return Report("automl", content, "\n\n".join(paragraphs) + "\n", outputs)


def board_rows(result: SearchResult, settings: Settings) -> list[dict[str, Any]]:
    return rows(leaderboard(result.candidates, settings.metric), settings.metric)


def rows(board: Sequence[Candidate], metric: Metric) -> list[dict[str, Any]]:
    others = [name for name in ("accuracy", "f1", "roc_auc", "log_loss") if name != metric]
    return [
        {"": place, "candidate": one.name, metric: one.scores[metric]}
        | {"± s.e.": one.standard_error(metric)}
        | {name: one.scores.get(name) for name in others}
        | {"seconds": round(one.seconds, 2)}
        for place, one in enumerate(board, start=1)
    ]


def draw(board: Sequence[Candidate], metric: Metric, path: Path, most: int = 20) -> None:
    """Draw a bar for the mean score of each candidate, and a dot for its score on each fold."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    best = list(reversed(board[:most]))
    figure = Figure(figsize=(7, 1 + 0.3 * len(best)), layout="constrained")
    axes = figure.add_subplot(title=f"{metric} over folds", xlabel=metric)
    axes.barh(range(len(best)), [one.scores[metric] for one in best], color="#c9d8e8")
    for place, one in enumerate(best):
        scores = [fold[metric] for fold in one.folds]
        axes.plot(scores, [place] * len(scores), "o", color="#1f4e79", markersize=3)
    axes.set_yticks(range(len(best)), [one.name for one in best])
    lowest = min(fold[metric] for one in best for fold in one.folds)
    axes.set_xlim(left=max(0.0, lowest - 0.05))
    FigureCanvasAgg(figure).print_figure(str(path), dpi=90)


def summary(result: SearchResult, settings: Settings, version: str | None) -> str:
    metric, winner, trained = settings.metric, result.winner, result.trained
    if winner is None or trained is None or result.agreement is None:
        return "There is no winner: the search was stopped, or every candidate failed."
    sentences = [
        f"{winner.name}: {metric} {winner.scores[metric]:.4f} over folds,"
        f" {trained.metrics[metric]:.4f} on the holdout.",
        f"Trained by the project's code, it predicts the same class as PyCaret's model for"
        f" {result.agreement:.1%} of the sample.",
        warning(result, settings) or "",
        f"It is v{version}. Next, let the gate judge it: mlflow run . -e evaluate"
        if version
        else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def warning(result: SearchResult, settings: Settings) -> str | None:
    limit = settings.automl.agreement
    if result.agreement is None or result.agreement >= limit:
        return None
    return (
        f"Warning: the agreement with PyCaret's model is below automl.agreement, {limit:g}. The"
        " score over folds may therefore be wrong for the model trained here. Its score on the"
        " holdout is right."
    )


def write_config(candidate: Candidate, spec: ModelSpec, metric: Metric, path: Path) -> None:
    score = f"{metric} {candidate.scores[metric]:.4f} over {len(candidate.folds)} folds"
    content = {key: value for key, value in spec.as_config().items() if value}
    text = yaml.safe_dump(content, sort_keys=False)
    path.write_text(f"# Found by PyCaret: {candidate.name}, {score}.\n{text}", encoding="utf-8")
