"""The pictures of a run, as PNG files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ratchet.model.metrics import FROM_LABELS, Answers

INK = "#1f4e79"
MOST = 20  # classes or features in one picture


def draw(
    answers: Answers, classes: np.ndarray, metrics: Mapping[str, float],
    importances: Mapping[str, float], folder: Path,
) -> None:  # fmt: skip
    """Of figures alone: the process that draws need not load the libraries of model and data."""
    _bars(metrics, folder / "metrics.png")
    _confusion(answers, [str(label) for label in classes], folder / "confusion_matrix.png")
    if answers.probabilities is not None:
        _reliability(answers, folder / "reliability.png")
    _importances(importances, folder / "importances.png")


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_figure(str(path), dpi=90)


def _bars(metrics: Mapping[str, float], path: Path) -> None:
    names = [name for name in (*FROM_LABELS, "roc_auc") if name in metrics]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot(ylim=(0, 1), title="On the holdout")
    axes.bar_label(axes.bar(names, [metrics[name] for name in names], color=INK), fmt="%.3f")
    _save(figure, path)


def _confusion(answers: Answers, classes: list[str], path: Path) -> None:
    counts = np.zeros((answers.classes, answers.classes), dtype=int)
    np.add.at(counts, (answers.truth, answers.labels), 1)
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.add_subplot(title="Confusion", xlabel="predicted", ylabel="true")
    axes.imshow(counts, cmap="Blues")
    if len(classes) <= MOST:
        axes.set_xticks(range(len(classes)), classes, rotation=45)
        axes.set_yticks(range(len(classes)), classes)
        for (row, column), count in np.ndenumerate(counts):
            ink = "white" if count > counts.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=ink)
    _save(figure, path)


def _reliability(answers: Answers, path: Path, bins: int = 10) -> None:
    confidence = np.asarray(answers.probabilities).max(axis=1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    present = np.unique(index)
    stated = [confidence[index == one].mean() for one in present]
    found = [answers.correct[index == one].mean() for one in present]
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.add_subplot(
        title="Reliability", xlabel="confidence stated", ylabel="share right", ylim=(0, 1.02)
    )
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.plot(stated, found, "o-", color=INK)
    _save(figure, path)


def _importances(importances: Mapping[str, float], path: Path) -> None:
    largest = sorted(importances.items(), key=lambda item: item[1])[-MOST:]
    figure = Figure(figsize=(6, 1 + 0.3 * len(largest)), layout="constrained")
    axes = figure.add_subplot(title="Accuracy lost when a column is shuffled")
    axes.barh([name for name, _ in largest], [value for _, value in largest], color=INK)
    _save(figure, path)
