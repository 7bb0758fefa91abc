"""Metrics of a classifier. Labels are codes 0..k-1; probabilities have one column for each class.

They use NumPy only, because a bootstrap computes them a thousand times and scikit-learn's versions
are too slow for that. A test holds their values equal to scikit-learn's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LOWER_IS_BETTER = ("log_loss", "brier", "calibration_error")


@dataclass(frozen=True)
class Answers:
    """A model's predictions on labelled rows."""

    truth: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray | None
    classes: int
    weights: np.ndarray | None = None  # of data.weight; None: every row counts the same

    @property
    def correct(self) -> np.ndarray:
        return np.asarray(self.truth == self.labels)

    def take(self, rows: np.ndarray) -> "Answers":
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Answers(self.truth[rows], self.labels[rows], probabilities, self.classes, weights)

    def mean(self, values: np.ndarray) -> float:
        return float(
            values.mean() if self.weights is None else np.average(values, None, self.weights)
        )

    def count(self, codes: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the rows of each class, or their weight."""
        weights = None if self.weights is None else self.weights[rows]
        return np.bincount(codes, weights, minlength=self.classes).astype(float)

    @property
    def size(self) -> float:
        """Return the number of rows, or their weight."""
        return float(len(self.truth) if self.weights is None else self.weights.sum())


LIKELIEST = (
    "ExtraTreesClassifier",
    "HistGradientBoostingClassifier",
    "KNeighborsClassifier",
    "LGBMClassifier",
    "RandomForestClassifier",
    "VotingClassifier",
)
"""Estimators that predict the class with the highest probability, and compute it again to do so."""


def ask(
    model: Any,
    features: Any,
    target: np.ndarray,
    classes: np.ndarray,
    weights: np.ndarray | None = None,
) -> Answers:
    """Return the model's predictions; a class that it was not trained on has probability 0."""
    probabilities = None
    if hasattr(model, "predict_proba"):
        probabilities = np.zeros((len(target), len(classes)))
        probabilities[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(features)
    if probabilities is not None and _predicts_likeliest(model):
        labels = probabilities.argmax(axis=1)
    else:
        labels = np.searchsorted(classes, np.asarray(model.predict(features)))
    return Answers(np.searchsorted(classes, target), labels, probabilities, len(classes), weights)


def _predicts_likeliest(model: Any) -> bool:
    estimator = model.steps[-1][1] if hasattr(model, "steps") else model
    return type(estimator).__name__ in LIKELIEST


def accuracy(answers: Answers) -> float:
    """
    >>> accuracy(Answers(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), None, 2))
    0.75
    """
    return answers.mean(answers.correct)


def precision(answers: Answers) -> float:
    return _weighted(answers, *_correct(answers)[:2])


def recall(answers: Answers) -> float:
    correct, _, actual = _correct(answers)
    return _weighted(answers, correct, actual)


def f1(answers: Answers) -> float:
    correct, predicted, actual = _correct(answers)
    return _weighted(answers, 2 * correct, predicted + actual)


def recall_by_class(answers: Answers) -> np.ndarray:
    correct, _, actual = _correct(answers)
    with np.errstate(invalid="ignore"):
        return np.asarray(correct / actual)


def _correct(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    right = answers.correct
    hits = answers.count(answers.truth[right], right)
    return hits, answers.count(answers.labels), answers.count(answers.truth)


def _weighted(answers: Answers, numerator: np.ndarray, denominator: np.ndarray) -> float:
    """Return the mean ratio over classes, weighted by their share of the true labels.

    The ratio of a class is 0 if its denominator is 0, as in scikit-learn.
    """
    share = answers.count(answers.truth) / answers.size
    ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return float(share @ ratio)


def log_loss(answers: Answers) -> float:
    clipped = np.clip(_of_true_class(answers), np.finfo(float).eps, 1.0)
    return answers.mean(-np.log(clipped))


def brier(answers: Answers) -> float:
    """Return the mean squared distance to the true class; half of it if there are two classes."""
    probabilities = _probabilities(answers)
    squares = (probabilities**2).sum(axis=1) - 2 * _of_true_class(answers) + 1
    return answers.mean(squares) / (2 if answers.classes == 2 else 1)


def roc_auc(answers: Answers) -> float:
    """Return the area for the second of two classes, or the weighted mean of one-vs-rest areas."""
    probabilities = _probabilities(answers)
    codes = [1] if answers.classes == 2 else range(answers.classes)
    area = _rank_auc if answers.weights is None else _weighted_auc(answers.weights)
    counts = answers.count(answers.truth)
    parts = [
        (counts[code], area(answers.truth == code, probabilities[:, code]))
        for code in codes
        if 0 < (answers.truth == code).mean() < 1
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


def _weighted_auc(weights: np.ndarray) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the area in which each pair of rows counts by the product of their weights."""

    def area(positive: np.ndarray, scores: np.ndarray) -> float:
        _, inverse = np.unique(scores, return_inverse=True)
        below = np.bincount(inverse, weights * ~positive)
        lower = (np.cumsum(below) - below / 2)[inverse]
        pairs = weights[positive].sum() * weights[~positive].sum()
        return float((weights * lower)[positive].sum() / pairs) if pairs else float("nan")

    return area


def calibration_error(answers: Answers, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    The confidences are grouped in bins of equal width; each bin counts by its number of rows.
    """
    confidence = _probabilities(answers).max(axis=1)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = answers.correct - confidence
    gap = gap if answers.weights is None else gap * answers.weights
    gaps = np.bincount(index, weights=gap, minlength=bins)
    return float(np.abs(gaps).sum() / answers.size)


def _probabilities(answers: Answers) -> np.ndarray:
    if answers.probabilities is None:
        raise ValueError("this model predicts labels only, without probabilities")
    return answers.probabilities


def _of_true_class(answers: Answers) -> np.ndarray:
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
    metrics = FROM_LABELS if answers.probabilities is None else METRICS
    return {name: metric(answers) for name, metric in metrics.items()}
