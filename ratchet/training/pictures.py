"""The pictures of a run, as PNG files. They need figures only, not the model or the data."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ratchet.model.metrics import FROM_LABELS, Answers

BLUE = "#1f4e79"
MOST = 20  # classes or columns in one picture
LONGEST = 30  # characters of a class or column in a picture


def draw(
    answers: Answers,
    classes: np.ndarray,
    metrics: Mapping[str, float],
    importances: Mapping[str, float],
    folder: Path,
) -> None:
    with mpl.rc_context({"text.parse_math": False}):  # a class may be called "$5 to $10"
        _bars(metrics, folder / "metrics.png")
        _confusion(answers, classes, folder / "confusion_matrix.png")
        if answers.probabilities is not None:
            _reliability(answers, folder / "reliability.png")
        _importances(importances, folder / "importances.png")


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_figure(str(path), dpi=90)


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _bars(metrics: Mapping[str, float], path: Path) -> None:
    names = [name for name in (*FROM_LABELS, "roc_auc") if name in metrics]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot(ylim=(0, 1), title="On the holdout")
    axes.bar_label(axes.bar(names, [metrics[name] for name in names], color=BLUE), fmt="%.3f")
    _save(figure, path)


def _confusion(answers: Answers, classes: np.ndarray, path: Path) -> None:
    frequency = np.bincount(answers.truth, minlength=answers.classes)
    commonest = np.sort(np.argsort(-frequency, kind="stable")[:MOST])
    rows = np.isin(answers.truth, commonest) & np.isin(answers.labels, commonest)
    counts = np.zeros((len(commonest), len(commonest)), dtype=int)
    places = [np.searchsorted(commonest, codes[rows]) for codes in (answers.truth, answers.labels)]
    np.add.at(counts, tuple(places), 1)
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    more = f", the {MOST} commonest classes" if answers.classes > MOST else ""
    axes = figure.add_subplot(title=f"Confusion{more}", xlabel="predicted", ylabel="true")
    axes.imshow(counts, cmap="Blues")
    names = [_short(classes[code]) for code in commonest]
    axes.set_xticks(range(len(names)), names, rotation=45)
    axes.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if count > counts.max() / 2 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=color)
    _save(figure, path)


def _reliability(answers: Answers, path: Path, bins: int = 10) -> None:
    confidence = np.asarray(answers.probabilities).max(axis=1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    used = np.unique(index)
    mean_confidence = [confidence[index == one].mean() for one in used]
    accuracy = [answers.correct[index == one].mean() for one in used]
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.add_subplot(
        title="Reliability", xlabel="mean confidence", ylabel="accuracy", ylim=(0, 1.02)
    )
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.plot(mean_confidence, accuracy, "o-", color=BLUE)
    _save(figure, path)


def _importances(importances: Mapping[str, float], path: Path) -> None:
    largest = sorted(importances.items(), key=lambda item: item[1])[-MOST:]
    figure = Figure(figsize=(6, 1 + 0.3 * len(largest)), layout="constrained")
    axes = figure.add_subplot(title="Accuracy lost if a column is shuffled")
    axes.barh(range(len(largest)), [value for _, value in largest], color=BLUE)
    axes.set_yticks(range(len(largest)), [_short(name) for name, _ in largest])
    _save(figure, path)
