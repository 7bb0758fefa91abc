"""Fits that follow the split: folds inside an estimator, and weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from ratchet.data.folds import covering_folds, folds
from ratchet.data.split import Split, load_split
from ratchet.model import model_file
from ratchet.model.estimators import ALLOWED
from ratchet.model.metrics import FROM_PROBABILITIES, METRICS, Answers, ask, scores
from ratchet.model.spec import build, parse_spec
from ratchet.settings import DataSettings
from ratchet.training.train import Failed, Trained, train_each
from tests.estimators import NEEDED

TIME = {"by": "time", "column": "day", "gap": "3d"}
GROUP = {"by": "group", "column": "customer"}
LINEAR = {"estimator": "LogisticRegression"}


def parts_of(folder: Path, rule: dict[str, Any], **more: object) -> Split:
    rng = np.random.default_rng(7)
    x = rng.normal(size=200)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2026-01-01", periods=200),
            "customer": np.arange(200) % 25,
            "x": x,
            "w": rng.integers(1, 4, 200).astype(float),
            "y": np.where(x + rng.normal(size=200) > 0, "yes", "no"),
        }
    )
    frame.to_parquet(folder / "rows.parquet")
    data = {"source": str(folder / "rows.parquet"), "target": "y", "split": rule, "drop": ["day"]}
    return load_split(DataSettings.model_validate(data | more))


def result_of(split: Split, estimator: str, /, **params: Any) -> Trained | Failed:
    spec = parse_spec("m", {"estimator": estimator, "params": params}, "m.yaml")
    (result,) = train_each([spec], split, seed=42, jobs=1)
    return result


def trained(split: Split, estimator: str, /, **params: Any) -> Trained:
    result = result_of(split, estimator, **params)
    assert isinstance(result, Trained), result.reason
    return result


@pytest.mark.parametrize("rule", [TIME, GROUP], ids=["time", "group"])
@pytest.mark.parametrize(
    ("estimator", "params", "choose"),
    [
        ("CalibratedClassifierCV", {"estimator": LINEAR}, folds),
        ("CalibratedClassifierCV", {"estimator": LINEAR, "ensemble": False}, covering_folds),
        ("TunedThresholdClassifierCV", {"estimator": LINEAR}, folds),
        ("StackingClassifier", {"estimators": {"a": LINEAR}}, covering_folds),
    ],
)
def test_calibration_thresholds_and_stacks_use_the_folds_of_the_split(
    tmp_path: Path, rule: dict[str, Any], estimator: str, params: dict[str, Any], choose: Any
) -> None:
    split = parts_of(tmp_path, rule)
    spec = parse_spec("m", {"estimator": estimator, "params": params}, "m.yaml")
    own = build(spec, split.table.kinds, dict(split.table.features.dtypes), 42)
    own.steps[-1][1].cv = choose(split, 4, 42)
    own.fit(*split.train)
    model = trained(split, estimator, **params, cv=4).model
    assert np.array_equal(
        model.predict_proba(split.holdout[0]), own.predict_proba(split.holdout[0])
    )
    assert model.steps[-1][1].cv == 4  # the rows of the folds are not stored


def test_a_blend_of_calibrated_models_follows_the_split_too(tmp_path: Path) -> None:
    calibrated = {"estimator": "CalibratedClassifierCV", "params": {"estimator": LINEAR, "cv": 3}}
    blend = trained(
        parts_of(tmp_path, TIME), "VotingClassifier", estimators={"a": calibrated}
    ).model.steps[-1][1]
    cvs = [member.steps[-1][1].cv for member in (blend.estimators[0][1], blend.estimators_[0])]
    assert cvs == [3, 3]


def test_folds_that_cannot_follow_the_split_fail_in_one_line(tmp_path: Path) -> None:
    calibrated = {"estimator": "CalibratedClassifierCV", "params": {"estimator": LINEAR}}
    failed = result_of(parts_of(tmp_path, TIME), "BaggingClassifier", estimator=calibrated)
    assert isinstance(failed, Failed)
    assert failed.reason == (
        "'estimator' of BaggingClassifier chooses its folds at random, but data.split is not"
        " random. Use such an estimator only as the outermost one"
    )
    assert isinstance(
        result_of(parts_of(tmp_path, {"by": "random"}), "BaggingClassifier", estimator=calibrated),
        Trained,
    )


@pytest.mark.slow
def test_every_estimator_can_be_trained_with_weights_and_saved(tmp_path: Path) -> None:
    split = parts_of(tmp_path, GROUP, weight="w")
    unweighted: set[str] = set()
    for name in sorted(ALLOWED):
        result = trained(split, name, **NEEDED.get(name, {}))
        if "Fitted without data.weight" in result.log:
            unweighted.add(name)
        skops.io.dump(result.model, tmp_path / model_file.FILE)
        loaded = model_file.load(tmp_path)
        assert np.array_equal(
            loaded.predict(split.holdout[0]), result.model.predict(split.holdout[0])
        )
    assert unweighted == {
        "FixedThresholdClassifier",
        "GaussianProcessClassifier",
        "KNeighborsClassifier",
        "LabelPropagation",
        "LabelSpreading",
        "LinearDiscriminantAnalysis",
        "NearestCentroid",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OutputCodeClassifier",
        "QuadraticDiscriminantAnalysis",
        "RadiusNeighborsClassifier",
        "StackingClassifier",
        "TunedThresholdClassifierCV",
    }


def test_a_weight_counts_as_so_many_rows_in_fit_and_metrics(tmp_path: Path) -> None:
    """The model and its metrics are those of a table that holds each row `weight` times."""
    split = parts_of(tmp_path, GROUP, weight="w")
    result = trained(split, "GaussianNB")
    assert split.train_weights is not None
    assert split.holdout_weights is not None
    features, target = split.train
    times = split.train_weights.astype(int)
    spec = parse_spec("m", {"estimator": "GaussianNB"}, "m.yaml")
    model = build(spec, split.table.kinds, dict(split.table.features.dtypes), 42)
    prepared = model[:-1].fit_transform(features)
    repeated = model.steps[-1][1].fit(np.repeat(prepared, times, axis=0), np.repeat(target, times))
    held_out, truth = split.holdout
    probabilities = repeated.predict_proba(model[:-1].transform(held_out))
    assert result.answers.probabilities is not None
    assert np.allclose(result.answers.probabilities, probabilities)
    rows = np.repeat(np.arange(len(truth)), split.holdout_weights.astype(int))
    whole = ask(result.model, held_out.iloc[rows], truth[rows], split.table.classes)
    for name, value in scores(whole).items():
        assert result.metrics[name] == pytest.approx(value), name


def test_a_blend_of_pipelines_passes_the_weights_to_its_members(tmp_path: Path) -> None:
    split = parts_of(tmp_path, GROUP, weight="w")
    blend = {"a": {"estimator": "GaussianNB"}, "b": {"estimator": "KNeighborsClassifier"}}
    result = trained(split, "VotingClassifier", estimators=blend, voting="soft")
    alone = trained(split, "GaussianNB").model
    member = result.model.steps[-1][1].estimators_[0]
    held_out = split.holdout[0]
    assert np.allclose(member.predict_proba(held_out), alone.predict_proba(held_out))
    assert "Fitted without data.weight: KNeighborsClassifier" in result.log


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("classes", [2, 3])
def test_weights_of_one_change_no_metric(name: str, classes: int) -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(classes), 60).round(2)
    truth = np.arange(60) % classes
    plain = Answers(truth, probabilities.argmax(axis=1), probabilities, classes)
    weighted = Answers(truth, plain.labels, probabilities, classes, np.ones(60))
    assert METRICS[name](weighted) == pytest.approx(METRICS[name](plain))
    assert name in FROM_PROBABILITIES or name in scores(plain)
