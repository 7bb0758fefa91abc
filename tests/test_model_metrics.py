"""The metrics, compared with scikit-learn's. They are in NumPy to be quick in a bootstrap."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from ratchet.model.metrics import (
    LIKELIEST,
    METRICS,
    Answers,
    ask,
    calibration_error,
    recall_by_class,
    scores,
)
from tests.estimators import NEEDED, model
from tests.tables import mixed_table


def answers(rows: int, classes: int, seed: int, decimals: int | None = None) -> Answers:
    """Return random answers; rounding to `decimals` makes probabilities tie."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    weights = rng.random((rows, classes)) + 2 * np.eye(classes)[truth] * rng.random((rows, 1))
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = np.round(probabilities, decimals) + 10.0**-decimals
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Answers(truth, probabilities.argmax(axis=1), probabilities, classes)


def by_scikit_learn(sample: Answers) -> dict[str, float]:
    truth, labels, codes = sample.truth, sample.labels, list(range(sample.classes))
    weighted = {"average": "weighted", "zero_division": 0}
    positive = sample.probabilities[:, 1] if sample.classes == 2 else sample.probabilities
    return {
        "accuracy": reference.accuracy_score(truth, labels),
        "precision": reference.precision_score(truth, labels, **weighted),
        "recall": reference.recall_score(truth, labels, **weighted),
        "f1": reference.f1_score(truth, labels, **weighted),
        "roc_auc": reference.roc_auc_score(
            truth, positive, multi_class="ovr", average="weighted", labels=codes
        ),
        "log_loss": reference.log_loss(truth, sample.probabilities, labels=codes),
        "brier": reference.brier_score_loss(truth, sample.probabilities, labels=codes),
    }


@pytest.mark.parametrize("classes", [2, 3, 20])
@pytest.mark.parametrize("decimals", [None, 1], ids=["continuous", "ties"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_metric_equals_that_of_scikit_learn(
    classes: int, decimals: int | None, seed: int
) -> None:
    sample = answers(400, classes, seed, decimals)
    ours = scores(sample)
    assert list(ours) == list(METRICS)
    for name, value in by_scikit_learn(sample).items():
        assert ours[name] == pytest.approx(value, rel=0, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_labels_are_scored_as_by_scikit_learn_if_a_class_is_never_predicted(
    classes: int, seed: int, more: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, classes + more)
    labels = rng.integers(0, max(1, classes - 1), classes + more)
    ours = scores(Answers(truth, labels, None, classes))
    weighted = {"average": "weighted", "zero_division": 0}
    assert list(ours) == ["accuracy", "precision", "recall", "f1"]
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(truth, labels), abs=1e-12)
    for name in ("precision", "recall", "f1"):
        value = getattr(reference, f"{name}_score")(truth, labels, **weighted)
        assert ours[name] == pytest.approx(value, abs=1e-12)


def test_log_loss_of_a_certain_mistake_is_large_and_finite() -> None:
    certain = np.array([[1.0, 0.0], [0.0, 1.0]])
    wrong = Answers(np.array([1, 0]), np.array([0, 1]), certain, 2)
    assert scores(wrong)["log_loss"] == pytest.approx(36.04365338911715)
    assert scores(wrong)["brier"] == 1.0
    assert scores(wrong)["roc_auc"] == 0.0


def test_calibration_error_equals_a_calculation_by_hand() -> None:
    # Bin 0.6-0.7: 0.62 right, 0.68 wrong -> |1 - 1.30| = 0.30. Bin 0.9-1: 0.95, 1.0 right -> 0.05.
    sure = np.array([0.62, 0.68, 0.95, 1.0])
    sample = Answers(
        np.array([0, 1, 0, 0]), np.array([0, 0, 0, 0]), np.column_stack([sure, 1 - sure]), 2
    )
    assert calibration_error(sample) == pytest.approx((0.30 + 0.05) / 4, abs=1e-12)


def test_calibration_error_is_zero_if_confidence_equals_accuracy() -> None:
    sample = Answers(np.array([0, 0, 0, 1]), np.zeros(4, int), np.tile([0.75, 0.25], (4, 1)), 2)
    assert calibration_error(sample) == 0.0


def test_a_class_that_is_absent_from_the_truth_does_not_change_the_auc_of_the_others() -> None:
    sample = answers(60, 3, seed=4).take(np.arange(60))
    kept = np.flatnonzero(sample.truth != 2)
    parts = [
        (
            np.mean(sample.truth[kept] == code),
            reference.roc_auc_score(sample.truth[kept] == code, sample.probabilities[kept, code]),
        )
        for code in (0, 1)
    ]
    expected = sum(weight * area for weight, area in parts)
    assert scores(sample.take(kept))["roc_auc"] == pytest.approx(expected, abs=1e-12)


def test_one_class_alone_has_no_auc() -> None:
    sample = Answers(np.zeros(3, int), np.zeros(3, int), np.tile([0.6, 0.4], (3, 1)), 2)
    assert np.isnan(scores(sample)["roc_auc"])


def test_recall_by_class_is_nan_for_a_class_without_rows() -> None:
    sample = Answers(np.array([0, 0, 1]), np.array([0, 1, 1]), None, 3)
    np.testing.assert_array_equal(recall_by_class(sample), [0.5, 1.0, np.nan])


def test_rows_can_be_taken_twice_as_in_a_bootstrap() -> None:
    sample = answers(50, 3, seed=5)
    rows = np.random.default_rng(0).integers(0, 50, 50)
    taken = sample.take(rows)
    assert scores(taken)["accuracy"] == np.mean(sample.truth[rows] == sample.labels[rows])
    np.testing.assert_array_equal(taken.probabilities, sample.probabilities[rows])


def test_a_metric_of_probabilities_needs_probabilities() -> None:
    with pytest.raises(ValueError, match="labels only"):
        METRICS["brier"](Answers(np.array([0]), np.array([0]), None, 2))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", LIKELIEST)
@pytest.mark.parametrize("classes", [2, 3, 20])
def test_labels_from_probabilities_are_what_the_model_predicts(
    estimator: str, classes: int, tmp_path: Path
) -> None:
    table = mixed_table(tmp_path, 400, classes)
    needed = NEEDED.get(estimator, {}) | ({"voting": "soft"} if "Voting" in estimator else {})
    fitted = model(estimator, table, **needed).fit(table.features[:300], table.target[:300])
    sample = ask(fitted, table.features, table.target, table.classes)
    predicted = fitted.predict(table.features)
    np.testing.assert_array_equal(table.classes[sample.labels], predicted)
