"""The offline gate: a candidate against prod on the same holdout.

It blocks what is worse with confidence, below the floor, or broken. It does not prove a candidate
better: thirty rows can prove little, and that is what the A/B test is for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

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
from ratchet.statistics.mcnemar import exact_mcnemar


@dataclass(frozen=True)
class Contender:
    version: str
    answers: Answers | None  # None where it is broken
    latency_ms: float = 0.0
    size_mb: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """Differences are candidate less prod."""

    difference: float
    low: float
    high: float
    mcnemar_p: float
    candidate_alone_right: int
    prod_alone_right: int
    metrics: dict[str, tuple[float, float]]
    recall: dict[str, tuple[float, float]]
    slices: dict[str, tuple[int, float, float]]  # rows, accuracy of the candidate, of prod


@dataclass(frozen=True)
class Verdict:
    version: str
    passed: bool
    reason: str
    score: float
    scores: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    comparison: Comparison | None = None


def judge(
    candidate: Contender, prod: Contender | None, classes: np.ndarray, slices: pd.DataFrame,
    metric: Metric, settings: GateSettings, seed: int,
) -> Verdict:  # fmt: skip
    if candidate.answers is None:
        return Verdict(candidate.version, False, f"it is broken: {candidate.error}", float("nan"))
    given = candidate.answers.probabilities
    if not np.isfinite(0 if given is None else given).all():
        reason = "it is broken: its probabilities are not finite"
        return Verdict(candidate.version, False, reason, float("nan"))
    measured = scores(candidate.answers)
    if metric not in measured:
        reason = (
            f"it gives no probabilities, which {metric} needs; wrap it in CalibratedClassifierCV"
        )
        return Verdict(candidate.version, False, reason, float("nan"))
    checks = _alone(candidate, candidate.answers, metric, settings)
    comparison = None
    if prod is not None and prod.answers is not None and metric in scores(prod.answers):
        comparison = compare(
            candidate.answers, prod.answers, classes, slices, metric, settings, seed
        )
        checks += _against(comparison, candidate.answers, prod.answers, classes, metric, settings)
    failed = [check for check in checks if not check.passed]
    reason = "; ".join(f"{c.name}: {_show(c.value)}, limit {_show(c.limit)}" for c in failed)
    return Verdict(
        candidate.version,
        not failed,
        reason or "every check passed",
        measured[metric],
        measured,
        checks,
        comparison,
    )


def best(verdicts: list[Verdict], metric: Metric) -> Verdict | None:
    """Of those that passed. Of equals, the one with the smaller log loss; then the older one."""
    sign = -1 if metric in LOWER_IS_BETTER else 1

    def rank(verdict: Verdict) -> tuple[float, float, int]:
        loss = verdict.scores.get("log_loss", float("inf"))
        return sign * verdict.score, -loss, -int(verdict.version)

    return max((verdict for verdict in verdicts if verdict.passed), key=rank, default=None)


def guessing(answers: Answers, metric: Metric) -> float:
    """What always naming the commonest class scores, with the classes' shares for probabilities."""
    shares = np.bincount(answers.truth, minlength=answers.classes) / len(answers.truth)
    labels = np.full(len(answers.truth), shares.argmax())
    probabilities = np.tile(shares, (len(answers.truth), 1))
    return METRICS[metric](Answers(answers.truth, labels, probabilities, answers.classes))


def _alone(
    candidate: Contender, answers: Answers, metric: Metric, settings: GateSettings
) -> list[Check]:
    score = METRICS[metric](answers)
    floor = guessing(answers, metric) if settings.floor is None else settings.floor
    above = score <= floor if metric in LOWER_IS_BETTER else score >= floor
    checks = [Check(f"{metric} floor", above, score, floor)]
    for name, value, limit in (
        ("latency in ms", candidate.latency_ms, settings.max_latency_ms),
        ("size in MB", candidate.size_mb, settings.max_size_mb),
    ):
        checks.append(Check(name, limit is None or value <= limit, value, limit))
    return checks


def _against(
    comparison: Comparison, candidate: Answers, prod: Answers, classes: np.ndarray,
    metric: Metric, settings: GateSettings,
) -> list[Check]:  # fmt: skip
    lower = metric in LOWER_IS_BETTER
    worst = -comparison.low if lower else comparison.high  # the best that confidence allows
    checks = [
        Check(f"not worse in {metric}", worst >= -settings.tolerance, worst, -settings.tolerance)
    ]
    lost, p_value = _lost_class(candidate, prod, classes, settings.tolerance)
    alpha = 1 - settings.confidence
    name = f"recall of {lost}" if p_value < alpha else "recall of each class"
    return [*checks, Check(name, p_value >= alpha, p_value, alpha)]


def compare(
    candidate: Answers, prod: Answers, classes: np.ndarray, slices: pd.DataFrame,
    metric: Metric, settings: GateSettings, seed: int,
) -> Comparison:  # fmt: skip
    low, high = _interval(candidate, prod, METRICS[metric], settings.confidence, seed)
    only_candidate = int((candidate.correct & ~prod.correct).sum())
    only_prod = int((prod.correct & ~candidate.correct).sum())
    ours, theirs = scores(candidate), scores(prod)
    recalls = zip(classes, recall_by_class(candidate), recall_by_class(prod), strict=True)
    return Comparison(
        difference=METRICS[metric](candidate) - METRICS[metric](prod),
        low=low,
        high=high,
        mcnemar_p=exact_mcnemar(only_candidate, only_prod),
        candidate_alone_right=only_candidate,
        prod_alone_right=only_prod,
        metrics={name: (ours[name], theirs[name]) for name in ours if name in theirs},
        recall={str(name): (float(ours), float(theirs)) for name, ours, theirs in recalls},
        slices=_by_slice(candidate, prod, slices),
    )


def _interval(
    candidate: Answers,
    prod: Answers,
    metric: Callable[[Answers], float],
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """Paired bootstrap; fewer draws where many rows make the interval narrow anyway."""
    rng = np.random.default_rng(seed)
    n = len(candidate.truth)
    draws = int(np.clip(4e7 / n, 200, 2000))
    samples = (rng.integers(0, n, n) for _ in range(draws))
    differences = [metric(candidate.take(rows)) - metric(prod.take(rows)) for rows in samples]
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)


def _lost_class(
    candidate: Answers, prod: Answers, classes: np.ndarray, tolerance: float
) -> tuple[str, float]:
    """The class whose recall fell most surely; its p-value times the number of classes (Holm)."""
    p_values = []
    for code in range(len(classes)):
        rows = candidate.truth == code
        ours, theirs = candidate.correct[rows], prod.correct[rows]
        won, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        within = lost - won <= tolerance * rows.sum()
        p_values.append(1.0 if within else exact_mcnemar(won, lost, "less"))
    worst = int(np.argmin(p_values))
    return str(classes[worst]), min(1.0, p_values[worst] * len(classes))


def _by_slice(
    candidate: Answers, prod: Answers, slices: pd.DataFrame
) -> dict[str, tuple[int, float, float]]:
    found = {}
    for name in slices:
        for value in np.unique(slices[name]):
            rows = np.flatnonzero(slices[name] == value)
            ours, theirs = accuracy(candidate.take(rows)), accuracy(prod.take(rows))
            found[f"{name}={value}"] = (len(rows), ours, theirs)
    return found


def weakest_evidence(comparison: Comparison, rows: int) -> str:
    """What a holdout of this size cannot see, in words."""
    width = (comparison.high - comparison.low) / 2
    return (
        f"With {rows} rows in the holdout a difference under about {width:.3f} cannot be told from"
        " chance."
    )


def _show(value: float | str | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
