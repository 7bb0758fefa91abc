"""The results of the search: candidates (estimators with parameters and scores), and failures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from ratchet.model.metrics import LOWER_IS_BETTER
from ratchet.settings import Metric


@dataclass(frozen=True)
class Candidate:
    """An estimator with its parameters, and its scores on each fold of the cross-validation."""

    number: int
    method: str  # the function of PyCaret that created it: compare, tune or blend
    estimator: str
    params: Mapping[str, Any]
    folds: Sequence[Mapping[str, float]]  # for each fold, the value of each metric
    seconds: float
    worker: str | None = None  # the worker of a Dask cluster that trained it

    @property
    def name(self) -> str:
        return self.estimator if self.method == "compare" else f"{self.estimator}, {self.method}"

    @property
    def scores(self) -> dict[str, float]:
        return {name: fmean(fold[name] for fold in self.folds) for name in self.folds[0]}

    def line(self, metric: str) -> str:
        score = self.scores.get(metric, float("nan"))
        return f"{metric} {score:.4f}  {self.name}, {self.seconds:.1f} s"

    def standard_error(self, metric: str) -> float:
        return stdev(fold[metric] for fold in self.folds) / sqrt(len(self.folds))


@dataclass(frozen=True)
class Failure:
    estimator: str
    reason: str


@dataclass(frozen=True)
class SearchStatus:
    """The start of the search, or its end. After the end, PyCaret waits for the winner."""

    finished: bool


def read_line(line: str, number: int) -> Candidate | Failure | SearchStatus:
    """Parse a line that search.py has written. `number` is the number of the line."""
    content = json.loads(line)
    if "search_finished" in content:
        return SearchStatus(content["search_finished"])
    if "failed" in content:
        return Failure(content["failed"], content["reason"])
    return Candidate(number, **content)


def leaderboard(candidates: Sequence[Candidate], metric: Metric) -> list[Candidate]:
    """Return the candidates, the best first. If two are equal, the smaller log loss comes first.

    A candidate without probabilities is left out if the metric needs probabilities.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1

    def place(candidate: Candidate) -> tuple[float, float, int]:
        scores = candidate.scores
        loss = scores.get("log_loss", float("inf"))
        return -sign * round(scores[metric], 9), loss, candidate.number

    return sorted((one for one in candidates if metric in one.scores), key=place)
