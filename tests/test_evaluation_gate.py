from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ratchet.evaluation.audit import audit_half
from ratchet.evaluation.differences import LOSSES, STATISTICS, difference_interval
from ratchet.evaluation.gate import (
    Contender,
    Verdict,
    best,
    guessing_score,
    judge,
    smallest_visible_difference,
)
from ratchet.model.metrics import METRICS, Answers
from ratchet.settings import GateSettings

CLASSES = np.array(["no", "yes"])
SETTINGS = GateSettings(floor=0.5)


def answering(
    accuracy: float, rows: int = 1000, seed: int = 0, labels_only: bool = False
) -> Answers:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    labels = np.where(rng.random(rows) < accuracy, truth, 1 - truth)
    sure = np.where(labels == 1, 0.8, 0.2)
    return Answers(truth, labels, None if labels_only else np.column_stack([1 - sure, sure]), 2)


def on_the_same_rows(answers: Answers, flipped: np.ndarray) -> Answers:
    labels = np.where(flipped, 1 - answers.labels, answers.labels)
    return replace(answers, labels=labels)


def verdict(
    candidate: Answers | None,
    prod: Answers | None = None,
    settings: GateSettings = SETTINGS,
    slices: pd.DataFrame | None = None,
    metric: str = "accuracy",
    is_audit: np.ndarray | None = None,
    **contender: float,
) -> Verdict:
    rival = Contender("1", prod) if prod else None
    rows = 0 if candidate is None else len(candidate.truth)
    slices = pd.DataFrame(index=range(rows)) if slices is None else slices
    one = Contender("2", candidate, **contender, error="" if candidate else "no column 'a'")
    audit = np.ones(rows, dtype=bool) if is_audit is None else is_audit
    return judge(one, rival, CLASSES, slices, metric, settings, seed=1, is_audit=audit)


def test_the_floor_decides_if_there_is_no_prod():
    assert verdict(answering(0.9)).passed
    assert not verdict(answering(0.9), settings=GateSettings(floor=0.95)).passed
    assert "accuracy floor" in verdict(answering(0.9), settings=GateSettings(floor=0.95)).reason


def test_the_default_floor_is_the_score_of_guessing():
    truth = np.array([0] * 90 + [1] * 10)
    always_no = Answers(truth, np.ones(100, dtype=int), None, 2)
    assert guessing_score(always_no, "accuracy") == 0.9
    assert not verdict(always_no, settings=GateSettings()).passed


def test_a_significantly_worse_model_is_blocked():
    prod = answering(0.9)
    worse = on_the_same_rows(prod, np.random.default_rng(1).random(1000) < 0.1)
    judged = verdict(worse, prod)
    assert not judged.passed
    assert "not worse in accuracy" in judged.reason
    assert judged.comparison is not None
    assert judged.comparison.high < 0


def test_a_model_that_may_be_as_good_passes():
    prod = answering(0.9, rows=30)
    one_flip = np.arange(30) == int(np.flatnonzero(prod.correct)[0])
    judged = verdict(on_the_same_rows(prod, one_flip), prod)
    assert judged.passed
    assert judged.comparison is not None
    assert judged.comparison.difference == pytest.approx(-1 / 30)
    assert judged.comparison.mcnemar_p == 1.0


def test_a_model_with_the_same_answers_passes():
    prod = answering(0.9)
    judged = verdict(prod, prod)
    assert judged.passed
    assert judged.comparison is not None
    assert (judged.comparison.low, judged.comparison.high) == (0, 0)


def test_a_tolerance_lets_a_slightly_worse_model_through():
    prod = answering(0.9, rows=20_000)
    worse = on_the_same_rows(prod, np.random.default_rng(1).random(20_000) < 0.02)
    assert not verdict(worse, prod).passed
    assert verdict(worse, prod, settings=GateSettings(floor=0.5, tolerance=0.03)).passed


def test_a_class_with_lost_recall_is_named_even_if_the_mean_is_better():
    truth = np.array([0] * 900 + [1] * 100)
    prod = Answers(truth, np.where(np.arange(1000) < 100, 1, truth), None, 2)
    candidate = Answers(truth, np.where(np.arange(1000) >= 970, 0, truth), None, 2)
    judged = verdict(candidate, prod)
    assert not judged.passed
    assert judged.reason.startswith("recall of yes")


def test_a_lower_log_loss_is_better():
    sharp, blunt = answering(0.95), answering(0.95)
    blunt = replace(blunt, probabilities=np.full((1000, 2), 0.5))
    settings = GateSettings(floor=0.69)
    assert verdict(sharp, metric="log_loss", settings=settings).passed
    assert not verdict(blunt, metric="log_loss", settings=settings).passed
    assert not verdict(blunt, sharp, metric="log_loss", settings=GateSettings(floor=1.0)).passed
    assert verdict(sharp, blunt, metric="log_loss", settings=GateSettings(floor=1.0)).passed


def test_a_broken_model_gets_a_verdict_with_the_reason():
    assert verdict(None).reason == "it is broken: no column 'a'"


def test_probabilities_that_are_not_finite_are_blocked():
    answers = answering(0.9)
    broken = replace(answers, probabilities=answers.probabilities * np.nan)  # type: ignore[operator]
    assert verdict(broken).reason == "it is broken: its probabilities are not finite"


def test_a_model_without_probabilities_cannot_be_judged_by_them():
    judged = verdict(answering(0.9, labels_only=True), metric="log_loss")
    assert not judged.passed
    assert "CalibratedClassifierCV" in judged.reason


def test_limits_of_latency_and_size_are_enforced():
    settings = GateSettings(floor=0.5, max_latency_ms=5, max_size_mb=1)
    assert verdict(answering(0.9), settings=settings, latency_ms=4, size_mb=0.9).passed
    assert "latency in ms" in verdict(answering(0.9), settings=settings, latency_ms=6).reason
    assert "size in MB" in verdict(answering(0.9), settings=settings, size_mb=2).reason


def test_slices_are_reported_with_their_rows():
    prod = answering(0.9)
    slices = pd.DataFrame({"region": ["north"] * 400 + ["south"] * 600})
    judged = verdict(prod, prod, slices=slices)
    assert judged.comparison is not None
    rows, ours, theirs = judged.comparison.slices["region=north"]
    assert (rows, ours) == (400, theirs)


def test_the_best_of_equal_models_has_the_lower_log_loss_or_is_older():
    def passed(version: str, score: float, log_loss: float, ok: bool = True) -> Verdict:
        return Verdict(version, ok, "", score, {"log_loss": log_loss})

    rivals = [passed("3", 0.9, 0.4), passed("2", 0.9, 0.3), passed("1", 0.8, 0.1)]
    assert best(rivals, "accuracy") == rivals[1]
    assert best([*rivals, passed("9", 0.99, 0.1, ok=False)], "accuracy") == rivals[1]
    assert best([passed("8", 0.9, 0.3), passed("7", 0.9, 0.3)], "accuracy").version == "7"  # type: ignore[union-attr]
    assert best([], "accuracy") is None


def test_the_report_says_which_difference_thirty_rows_cannot_show():
    prod = answering(0.9, rows=30)
    judged = verdict(answering(0.9, rows=30, seed=0), prod)
    assert judged.comparison is not None
    assert smallest_visible_difference(judged.comparison).startswith(
        "With 30 rows in the audit half"
    )


def test_an_equal_model_is_blocked_in_at_most_five_percent_of_gates():
    blocked = 0
    for seed in range(200):
        prod = answering(0.85, rows=300, seed=seed)
        rng = np.random.default_rng(seed + 10_000)
        swapped = rng.random(300) < 0.85
        equal = replace(prod, labels=np.where(swapped, prod.truth, 1 - prod.truth))
        blocked += not verdict(equal, prod, GateSettings(floor=0.0, confidence=0.95)).passed
    assert blocked <= 16


def noisy_pair(rows: int, seed: int) -> tuple[Answers, Answers]:
    """Return two equally good models: the same true logits, each with noise of its own."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.8, 2, rows)
    truth = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(int)

    def model() -> Answers:
        yes = 1 / (1 + np.exp(-logits - rng.normal(0, 0.7, rows)))
        probabilities = np.column_stack([1 - yes, yes])
        return Answers(truth, probabilities.argmax(1), probabilities, 2)

    return model(), model()


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_thirty_rows_block_an_equal_model_in_at_most_five_percent_of_gates(metric: str):
    settings = GateSettings(floor=100.0)
    blocked = 0
    for seed in range(400):
        candidate, prod = noisy_pair(30, seed)
        blocked += not verdict(candidate, prod, settings, metric=metric).passed
    assert blocked / 400 <= 0.05


def test_three_positives_do_not_reject_an_identical_model_by_roc_auc():
    """A bootstrap draw without a positive would make the interval, and so the check, undefined."""
    truth = np.array([1] * 3 + [0] * 27)
    for seed in range(4):
        yes = np.random.default_rng(seed).random(30)
        probabilities = np.column_stack([1 - yes, yes])
        same = Answers(truth, probabilities.argmax(1), probabilities, 2)
        judged = verdict(same, same, GateSettings(floor=0.0), metric="roc_auc")
        assert judged.passed
        assert judged.comparison is not None
        assert (judged.comparison.low, judged.comparison.high) == (0, 0)


def test_a_worse_ranking_is_blocked_by_roc_auc():
    good, _ = noisy_pair(1000, seed=1)
    assert good.probabilities is not None
    shuffled = np.random.default_rng(2).permutation(good.probabilities)
    judged = verdict(replace(good, probabilities=shuffled), good, metric="roc_auc")
    assert "not worse in roc_auc" in judged.reason


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", sorted({*LOSSES, *STATISTICS}))
def test_each_metric_of_the_comparison_equals_the_metric_of_the_report(metric: str, classes: int):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, classes, 200)
    probabilities = np.round(rng.dirichlet(np.ones(classes), 200), 2)  # rounded, so scores tie
    answers = Answers(truth, probabilities.argmax(1), probabilities, classes)
    ours = (
        LOSSES[metric](answers).mean()
        if metric in LOSSES
        else STATISTICS[metric](answers)(np.ones((1, 200)))[0]
    )
    assert ours == pytest.approx(METRICS[metric](answers))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "log_loss"])
def test_the_interval_of_a_difference_covers_it(metric: str):
    candidate, prod = noisy_pair(2000, seed=4)
    low, high = difference_interval(candidate, prod, metric, 0.95, seed=1)
    assert low < METRICS[metric](candidate) - METRICS[metric](prod) < high
    assert high - low < 0.1


def test_a_prod_that_was_the_best_of_fifty_equals_rejects_no_equal_candidate():
    """Prod looks better than it is on the rows that selected it. The audit half selects nothing."""
    rows, gates = 300, 60
    halves = np.arange(rows) % 2 == 0
    blocked = {"audit": 0, "all rows": 0}
    for seed in range(gates):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, rows)
        labels = np.where(rng.random((51, rows)) < 0.85, truth, 1 - truth)
        candidates = [Answers(truth, one, None, 2) for one in labels]
        loose = GateSettings(floor=0.0)
        for name, is_audit in (("audit", halves), ("all rows", None)):
            scores = [
                verdict(one, settings=loose, is_audit=is_audit).score for one in candidates[1:]
            ]
            prod = candidates[1 + int(np.argmax(scores))]
            blocked[name] += not verdict(candidates[0], prod, loose, is_audit=is_audit).passed
    assert blocked["audit"] / gates <= 0.05
    assert blocked["all rows"] / gates >= 0.15


def test_the_audit_half_is_half_of_each_class_whatever_the_order():
    hashes = np.random.default_rng(1).integers(0, 2**63, 300).astype("uint64")
    truth = np.repeat(["a", "b", "c"], [200, 99, 1])
    is_audit = audit_half(hashes, truth)
    assert [int(is_audit[truth == label].sum()) for label in "abc"] == [100, 50, 1]
    order = np.random.default_rng(2).permutation(300)
    assert np.array_equal(audit_half(hashes[order], truth[order]), is_audit[order])
