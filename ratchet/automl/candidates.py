"""What the search has scored, and the order it stands in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ratchet.model.metrics import LOWER_IS_BETTER
from ratchet.settings import Metric


@dataclass(frozen=True)
class Candidate:
    number: int
    way: str  # compare, tune or blend: PyCaret's three ways to come by one
    estimator: str
    params: Mapping[str, Any]
    folds: Sequence[Mapping[str, float]]
    seconds: float
    worker: str | None = None  # of a Dask cluster

    @property
    def name(self) -> str:
        return self.estimator if self.way == "compare" else f"{self.estimator}, {self.way}"

    @property
    def scores(self) -> dict[str, float]:
        return {name: fmean(fold[name] for fold in self.folds) for name in self.folds[0]}

    def standard_error(self, metric: str) -> float:
        return stdev(fold[metric] for fold in self.folds) / sqrt(len(self.folds))


@dataclass(frozen=True)
class Failure:
    estimator: str
    reason: str


@dataclass(frozen=True)
class Searched:
    """Not yet: the budget begins. Or it is over: PyCaret waits for the candidate to finalise."""

    over: bool


def read_line(line: str, number: int) -> Candidate | Failure | Searched:
    content = json.loads(line)
    if "searched" in content:
        return Searched(content["searched"])
    if "failed" in content:
        return Failure(content["failed"], content["reason"])
    return Candidate(number, **content)


def leaderboard(candidates: Sequence[Candidate], metric: Metric) -> list[Candidate]:
    """The best first. Of equals the one with the smaller log loss, as in the gate; then the older.

    A candidate that gives no probabilities stands in none by a metric that needs them.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1

    def place(candidate: Candidate) -> tuple[float, float, int]:
        scores = candidate.scores
        loss = scores.get("log_loss", float("inf"))
        return -sign * round(scores[metric], 9), loss, candidate.number

    return sorted((one for one in candidates if metric in one.scores), key=place)


def rows(board: Sequence[Candidate], metric: Metric) -> list[dict[str, Any]]:
    others = [name for name in ("accuracy", "f1", "roc_auc", "log_loss") if name != metric]
    return [
        {
            "": place, "candidate": one.name, metric: one.scores[metric],
            "± s.e.": one.standard_error(metric),
            **{name: one.scores.get(name) for name in others},
            "seconds": round(one.seconds, 2),
        }
        for place, one in enumerate(board, start=1)
    ]  # fmt: skip


def draw(board: Sequence[Candidate], metric: Metric, path: Path, most: int = 20) -> None:
    """Every fold a dot, the mean a bar."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(reversed(board[:most]))
    figure = Figure(figsize=(7, 1 + 0.3 * len(shown)), layout="constrained")
    axes = figure.add_subplot(title=f"{metric} over folds", xlabel=metric)
    places = range(len(shown))
    axes.barh(places, [one.scores[metric] for one in shown], color="#c9d8e8")
    for place, one in zip(places, shown, strict=True):
        axes.plot(
            [fold[metric] for fold in one.folds],
            [place] * len(one.folds),
            "o",
            color="#1f4e79",
            markersize=3,
        )
    axes.set_yticks(places, [one.name for one in shown])
    lowest = min(fold[metric] for one in shown for fold in one.folds)
    axes.set_xlim(left=max(0.0, lowest - 0.05))
    FigureCanvasAgg(figure).print_figure(str(path), dpi=90)
