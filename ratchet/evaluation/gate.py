"""The offline gate: compare a candidate with prod on the same holdout.

The gate blocks a candidate that is worse with confidence, below the floor, over a limit, or broken.
It does not prove that a candidate is better, because few rows can prove little. The A/B test does.

The selection half of the holdout ranks the candidates. The audit half compares them with prod and
gives the reported metrics; no candidate is selected by it.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ratchet.evaluation.differences import difference_interval
from ratchet.model.metrics import (
    LOWER_IS_BETTER,
    METRICS,
    Answers,
    accuracy,
    recall_by_class,
    scores,
)
from ratchet.report import Check
from ratchet.settings import GateSettings, Metric
from ratchet.statistics.arrays import Bools
from ratchet.statistics.holm import holm
from ratchet.statistics.mcnemar import exact_mcnemar


@dataclass(frozen=True)
class Contender:
    version: str
    answers: Answers | None  # None if the model is broken
    latency_ms: float = 0.0
    size_mb: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """The comparison of a candidate with prod; each difference is candidate minus prod."""

    rows: int
    difference: float
    low: float
    high: float
    mcnemar_p: float
    candidate_alone_right: int
    prod_alone_right: int
    metrics: dict[str, tuple[float, float]]  # metric: value of the candidate, of prod
    recall: dict[str, tuple[float, float]]  # class: recall of the candidate, of prod
    slices: dict[str, tuple[int, float, float]]  # slice: rows, accuracy of the candidate, of prod


@dataclass(frozen=True)
class Verdict:
    version: str
    passed: bool
    reason: str
    score: float  # on the selection half; it ranks the candidates
    scores: dict[str, float] = field(default_factory=dict)  # on the audit half
    checks: list[Check] = field(default_factory=list)
    comparison: Comparison | None = None


def judge(
    candidate: Contender,
    prod: Contender | None,
    classes: np.ndarray,
    slices: pd.DataFrame,
    metric: Metric,
    settings: GateSettings,
    seed: int,
    is_audit: Bools,
) -> Verdict:
    if candidate.answers is None:
        return _broken(candidate, candidate.error)
    probabilities = candidate.answers.probabilities
    if probabilities is not None and not np.isfinite(probabilities).all():
        return _broken(candidate, "its probabilities are not finite")
    audit = np.flatnonzero(is_audit)
    selection = np.flatnonzero(is_audit if is_audit.all() else ~is_audit)
    measured = scores(candidate.answers.take(audit))
    if metric not in measured:
        reason = (
            f"it gives no probabilities, which {metric} needs; wrap it in CalibratedClassifierCV"
        )
        return Verdict(candidate.version, False, reason, float("nan"))
    checks = _limits(candidate, candidate.answers, metric, settings)
    comparison = None
    if prod is not None and prod.answers is not None and metric in scores(prod.answers):
        ours, theirs = candidate.answers.take(audit), prod.answers.take(audit)
        audit_slices = slices.iloc[audit]
        comparison = compare(ours, theirs, classes, audit_slices, metric, settings, seed)
        recalls = _class_losses(ours, theirs, settings.tolerance)
        checks += [
            _metric_check(comparison, metric, settings),
            _recall_check(recalls, classes, settings),
        ]
    failed = [check for check in checks if not check.passed]
    reason = "; ".join(f"{c.name}: {_show(c.value)}, limit {_show(c.limit)}" for c in failed)
    return Verdict(
        candidate.version,
        not failed,
        reason or "every check passed",
        METRICS[metric](candidate.answers.take(selection)),
        measured,
        checks,
        comparison,
    )


def _broken(candidate: Contender, error: str) -> Verdict:
    return Verdict(candidate.version, False, f"it is broken: {error}", float("nan"))


def best(verdicts: list[Verdict], metric: Metric) -> Verdict | None:
    """Return the best verdict that passed; if equal, by the lower log loss, then the older version.

    The score on the selection half decides first.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1

    def rank(verdict: Verdict) -> tuple[float, float, int]:
        loss = verdict.scores.get("log_loss", float("inf"))
        return sign * verdict.score, -loss, -int(verdict.version)

    return max((verdict for verdict in verdicts if verdict.passed), key=rank, default=None)


def guessing_score(answers: Answers, metric: Metric) -> float:
    """Return the score of always predicting the most common class.

    The predicted probabilities are the shares of the classes.
    """
    shares = answers.count(answers.truth) / answers.size
    labels = np.full(len(answers.truth), shares.argmax())
    probabilities = np.tile(shares, (len(answers.truth), 1))
    guesses = Answers(answers.truth, labels, probabilities, answers.classes, answers.weights)
    return METRICS[metric](guesses)


def _limits(
    candidate: Contender, answers: Answers, metric: Metric, settings: GateSettings
) -> list[Check]:
    score = METRICS[metric](answers)
    floor = guessing_score(answers, metric) if settings.floor is None else settings.floor
    reached = score <= floor if metric in LOWER_IS_BETTER else score >= floor
    checks = [Check(f"{metric} floor", reached, score, floor)]
    for name, value, limit in (
        ("latency in ms", candidate.latency_ms, settings.max_latency_ms),
        ("size in MB", candidate.size_mb, settings.max_size_mb),
    ):
        checks.append(Check(name, limit is None or value <= limit, value, limit))
    return checks


def _metric_check(comparison: Comparison, metric: Metric, settings: GateSettings) -> Check:
    """Fail if even the better end of the confidence interval is worse than the tolerance allows.

    For an equal candidate this happens with probability (1 - confidence) / 2 at most. The check of
    the recalls has the same limit, so both together reject an equal candidate with probability at
    most 1 - confidence.
    """
    best_case = -comparison.low if metric in LOWER_IS_BETTER else comparison.high
    limit = -settings.tolerance
    return Check(f"not worse in {metric}", best_case >= limit, best_case, limit)


def _recall_check(p_values: list[float], classes: np.ndarray, settings: GateSettings) -> Check:
    alpha = (1 - settings.confidence) / 2
    worst = int(np.argmin(p_values))
    passed = not any(holm(p_values, alpha))
    name = "recall of each class" if passed else f"recall of {classes[worst]}"
    return Check(name, passed, p_values[worst], alpha / len(classes))


def _class_losses(candidate: Answers, prod: Answers, tolerance: float) -> list[float]:
    """Return McNemar's p-value of a lower recall per class; 1 if the loss is within tolerance."""
    p_values = []
    for code in range(candidate.classes):
        rows = candidate.truth == code
        ours, theirs = candidate.correct[rows], prod.correct[rows]
        won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        is_within = lost - won <= tolerance * rows.sum()
        p_values.append(1.0 if is_within else exact_mcnemar(won, lost, "less"))
    return p_values


def compare(
    candidate: Answers,
    prod: Answers,
    classes: np.ndarray,
    slices: pd.DataFrame,
    metric: Metric,
    settings: GateSettings,
    seed: int,
) -> Comparison:
    low, high = difference_interval(candidate, prod, metric, settings.confidence, seed)
    only_candidate = int((candidate.correct & ~prod.correct).sum())
    only_prod = int((prod.correct & ~candidate.correct).sum())
    ours, theirs = scores(candidate), scores(prod)
    recalls = zip(classes, recall_by_class(candidate), recall_by_class(prod), strict=True)
    return Comparison(
        rows=len(candidate.truth),
        difference=ours[metric] - theirs[metric],
        low=low,
        high=high,
        mcnemar_p=exact_mcnemar(only_candidate, only_prod),
        candidate_alone_right=only_candidate,
        prod_alone_right=only_prod,
        metrics={name: (ours[name], theirs[name]) for name in ours if name in theirs},
        recall={str(name): (float(ours), float(theirs)) for name, ours, theirs in recalls},
        slices=_by_slice(candidate, prod, slices),
    )


def _by_slice(
    candidate: Answers, prod: Answers, slices: pd.DataFrame
) -> dict[str, tuple[int, float, float]]:
    accuracies = {}
    for name in slices:
        for value in np.unique(slices[name]):
            rows = np.flatnonzero(slices[name] == value)
            ours, theirs = accuracy(candidate.take(rows)), accuracy(prod.take(rows))
            accuracies[f"{name}={value}"] = (len(rows), ours, theirs)
    return accuracies


def smallest_visible_difference(comparison: Comparison) -> str:
    """Return a sentence that says which differences this number of rows cannot show."""
    width = (comparison.high - comparison.low) / 2
    return (
        f"With {comparison.rows} rows in the audit half, a difference of less than"
        f" about {width:.3f} cannot be distinguished from chance."
    )


def _show(value: float | str | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
