"""The differences between two models' metrics on the same rows, with confidence intervals."""

from collections.abc import Callable

import numpy as np

from ratchet.model.metrics import Answers
from ratchet.statistics.arrays import Codes, Floats
from ratchet.statistics.bootstrap import bootstrap_interval
from ratchet.statistics.intervals import t_interval

FEWEST_DRAWS, MOST_DRAWS = 400, 2000
MOST_WEIGHTS = 2e6  # draws times rows: many rows make the interval narrow with fewer draws
Statistic = Callable[[Floats], Floats]  # weights, draws x rows: the metric of each draw


def difference_interval(
    candidate: Answers, prod: Answers, metric: str, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of the metric's difference, candidate minus prod.

    Metrics that are means over rows take Student's interval of the row differences. The others are
    bootstrapped within the true classes.
    """
    if metric in LOSSES:
        loss = LOSSES[metric]
        difference = loss(candidate) - loss(prod)
        if candidate.weights is not None:  # the interval of a weighted mean, as of a ratio
            weights = candidate.weights / candidate.weights.mean()
            mean = candidate.mean(difference)
            difference = mean + weights * (difference - mean)
        return t_interval(difference, confidence)
    ours, theirs = STATISTICS[metric](candidate), STATISTICS[metric](prod)
    draws = int(np.clip(MOST_WEIGHTS / len(candidate.truth), FEWEST_DRAWS, MOST_DRAWS))
    own = 1.0 if candidate.weights is None else candidate.weights
    return bootstrap_interval(
        lambda weights: ours(weights * own) - theirs(weights * own),
        candidate.truth,
        confidence,
        draws,
        seed,
    )


def _is_right(answers: Answers) -> Floats:
    return answers.correct.astype(float)


def _log_losses(answers: Answers) -> Floats:
    return -np.log(np.clip(_of_truth(answers), np.finfo(float).eps, 1.0))


def _brier_scores(answers: Answers) -> Floats:
    squares = (_probabilities(answers) ** 2).sum(axis=1) - 2 * _of_truth(answers) + 1
    return np.asarray(squares / (2 if answers.classes == 2 else 1))


def _probabilities(answers: Answers) -> Floats:
    if answers.probabilities is None:
        raise ValueError("the model gives no probabilities")
    return answers.probabilities


def _of_truth(answers: Answers) -> Floats:
    return np.asarray(_probabilities(answers)[np.arange(len(answers.truth)), answers.truth])


def _precision(answers: Answers) -> Statistic:
    return _ratio(answers, lambda hits, predicted, _: (hits, predicted))


def _f1(answers: Answers) -> Statistic:
    return _ratio(answers, lambda hits, predicted, actual: (2 * hits, predicted + actual))


def _ratio(
    answers: Answers, parts: Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
) -> Statistic:
    """Return a class-weighted ratio of counts; the counts of a class are sums of row weights."""
    codes = np.arange(answers.classes)
    is_truth = (answers.truth[:, None] == codes).astype(float)
    is_label = (answers.labels[:, None] == codes).astype(float)
    is_hit = is_truth * is_label
    share = answers.count(answers.truth) / answers.size

    def statistic(weights: Floats) -> Floats:
        above, below = parts(weights @ is_hit, weights @ is_label, weights @ is_truth)
        ratio = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        return np.asarray(ratio @ share)

    return statistic


def _roc_auc(answers: Answers) -> Statistic:
    """Return one class against the rest, weighted by class; the second class if there are two."""
    codes = [1] if answers.classes == 2 else list(range(answers.classes))
    counts = answers.count(answers.truth)
    used = [code for code in codes if 0 < counts[code] < answers.size]
    if not used:
        return lambda weights: np.zeros(len(weights))
    parts = [_area(answers.truth == code, _probabilities(answers)[:, code]) for code in used]
    share = counts[used] / counts[used].sum()
    return lambda weights: np.asarray(np.stack([part(weights) for part in parts], -1) @ share)


def _area(positive: Codes, scores: Floats) -> Statistic:
    """Return the area under the ROC curve: the share of pairs in order, ties counted half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    is_positive = positive[order]

    def statistic(weights: Floats) -> Floats:
        ordered = weights[:, order]
        above = np.add.reduceat(ordered * is_positive, starts, axis=1)
        below = np.add.reduceat(ordered * ~is_positive, starts, axis=1)
        lower = np.cumsum(below, axis=1) - below / 2
        return np.asarray((above * lower).sum(1) / (above.sum(1) * below.sum(1)))

    return statistic


LOSSES: dict[str, Callable[[Answers], Floats]] = {
    "accuracy": _is_right,
    "recall": _is_right,  # weighted by class it is the accuracy
    "log_loss": _log_losses,
    "brier": _brier_scores,
}
STATISTICS: dict[str, Callable[[Answers], Statistic]] = {
    "precision": _precision,
    "f1": _f1,
    "roc_auc": _roc_auc,
}
