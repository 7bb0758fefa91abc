"""What a classifier scores. Labels are codes 0..k-1, probabilities one column a class.

In NumPy alone, so that a bootstrap can ask a thousand times. Values are scikit-learn's (a test).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LOWER_IS_BETTER = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True)
class Answers:
    """What a model said of rows whose truth is known."""

    truth: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray | None
    classes: int

    @property
    def right(self) -> np.ndarray:
        return np.asarray(self.truth == self.labels)

    def take(self, rows: np.ndarray) -> "Answers":
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.truth[rows], self.labels[rows], probabilities, self.classes)


def ask(model: Any, features: Any, target: np.ndarray, classes: np.ndarray) -> Answers:
    """Classes that the model has never heard of get no probability from it."""
    predicted = np.asarray(model.predict(features))
    probabilities = None
    if hasattr(model, "predict_proba"):
        probabilities = np.zeros((len(predicted), len(classes)))
        known = np.searchsorted(classes, model.classes_)
        probabilities[:, known] = model.predict_proba(features)
    return Answers(
        np.searchsorted(classes, target),
        np.searchsorted(classes, predicted),
        probabilities,
        len(classes),
    )


def accuracy(answers: Answers) -> float:
    """
    >>> accuracy(Answers(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), None, 2))
    0.75
    """
    return float(answers.right.mean())


def precision(answers: Answers) -> float:
    return _weighted(answers, *_hits(answers)[:2])


def recall(answers: Answers) -> float:
    hits, _, actual = _hits(answers)
    return _weighted(answers, hits, actual)


def f1(answers: Answers) -> float:
    hits, predicted, actual = _hits(answers)
    return _weighted(answers, 2 * hits, predicted + actual)


def recall_by_class(answers: Answers) -> np.ndarray:
    hits, _, actual = _hits(answers)
    with np.errstate(invalid="ignore"):
        return np.asarray(hits / actual)


def _hits(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def count(codes: np.ndarray) -> np.ndarray:
        return np.bincount(codes, minlength=answers.classes).astype(float)

    return count(answers.truth[answers.right]), count(answers.labels), count(answers.truth)


def _weighted(answers: Answers, above: np.ndarray, below: np.ndarray) -> float:
    """The mean over classes by their share of the truth; 0 where nothing was predicted."""
    share = np.bincount(answers.truth, minlength=answers.classes) / len(answers.truth)
    ratio = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return float(share @ ratio)


def log_loss(answers: Answers) -> float:
    given = np.clip(_of_truth(answers), np.finfo(float).eps, 1.0)
    return float(-np.log(given).mean())


def brier(answers: Answers) -> float:
    """The squared distance to the truth; halved for two classes, as is the custom."""
    given = _probabilities(answers)
    squares = (given**2).sum(axis=1) - 2 * _of_truth(answers) + 1
    return float(squares.mean() / (2 if answers.classes == 2 else 1))


def roc_auc(answers: Answers) -> float:
    """One against the rest, weighted by class. With two classes, of the second."""
    given = _probabilities(answers)
    codes = [1] if answers.classes == 2 else range(answers.classes)
    pairs = [(answers.truth == code, given[:, code]) for code in codes]
    parts = [
        (truth.sum(), _rank_auc(truth, scores)) for truth, scores in pairs if 0 < truth.mean() < 1
    ]
    if not parts:
        return float("nan")
    weights, areas = np.array(parts).T
    return float(weights @ areas / weights.sum())


def _rank_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = positive.sum()
    return float((ranks[positive].sum() - wins * (wins + 1) / 2) / (wins * (len(scores) - wins)))


def calibration_error(answers: Answers, bins: int = 10) -> float:
    """Expected: the mean gap between confidence and accuracy, over bins of equal width."""
    confidence = _probabilities(answers).max(axis=1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=answers.right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def _probabilities(answers: Answers) -> np.ndarray:
    if answers.probabilities is None:
        raise ValueError("this model gives labels only, no probabilities")
    return answers.probabilities


def _of_truth(answers: Answers) -> np.ndarray:
    rows = np.arange(len(answers.truth))
    return np.asarray(_probabilities(answers)[rows, answers.truth])


FROM_LABELS: dict[str, Callable[[Answers], float]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
}
FROM_PROBABILITIES: dict[str, Callable[[Answers], float]] = {
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "brier": brier,
    "calibration_error": calibration_error,
}
METRICS = FROM_LABELS | FROM_PROBABILITIES


def scores(answers: Answers) -> dict[str, float]:
    known = FROM_LABELS if answers.probabilities is None else METRICS
    return {name: metric(answers) for name, metric in known.items()}
