"""The search's output: a leaderboard, a winner, a config, or an error in one line."""

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from ratchet.automl.agreement import agreement, mixed_rows
from ratchet.automl.candidates import (
    Candidate,
    Failure,
    SearchStatus,
    leaderboard,
    read_line,
)
from ratchet.automl.report import draw, rows, summary, warning, write_config
from ratchet.automl.request import as_plain, estimators_to_search, write_request
from ratchet.automl.translation import as_spec
from ratchet.automl.winner import SearchResult
from ratchet.data.split import Split, load_split
from ratchet.errors import InputError
from ratchet.model.metrics import Answers, scores
from ratchet.model.preparation import preparation
from ratchet.model.spec import read_spec
from ratchet.settings import AutomlSettings, Settings
from ratchet.training.train import train
from tests.projects import REPOSITORY
from tests.tables import mixed_frame, write

FOLDS = ({"accuracy": 0.9, "log_loss": 0.3}, {"accuracy": 1.0, "log_loss": 0.1})
# Parameters as scikit-learn 1.4, in PyCaret's environment, reports them.
LOGISTIC = {
    "C": 2.5,
    "class_weight": {},
    "dual": False,
    "fit_intercept": True,
    "intercept_scaling": 1,
    "l1_ratio": None,
    "max_iter": 1000,
    "multi_class": "auto",
    "n_jobs": None,
    "penalty": "l2",
    "random_state": 42,
    "solver": "lbfgs",
    "tol": 0.0001,
    "verbose": 0,
    "warm_start": False,
}
BOOSTING = {
    "ccp_alpha": 0.0,
    "criterion": "squared_error",
    "init": None,
    "learning_rate": 0.15,
    "loss": "log_loss",
    "max_depth": 3,
    "max_features": "log2",
    "max_leaf_nodes": None,
    "n_estimators": 100,
    "random_state": 42,
    "subsample": 1.0,
    "verbose": 0,
}
BAYES = {"priors": None, "var_smoothing": 1e-09}


def candidate(
    estimator: str = "GaussianNB", params: object = None, folds: object = FOLDS, number: int = 1
) -> Candidate:
    return Candidate(number, "compare", estimator, params or {}, folds, 0.5)  # type: ignore[arg-type]


def config(estimator: str, params: dict[str, object], imbalance: bool = False) -> dict[str, object]:
    return as_spec(candidate(estimator, params), 42, imbalance).as_config()


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Split, Settings]:
    path = write(mixed_frame(), tmp_path / "mixed.parquet")
    data = {"source": str(path), "target": "outcome", "kinds": {"branch": "categorical"}}
    settings = Settings.model_validate({"model": "mixed", "data": data})
    return load_split(settings.data), settings


def test_a_line_of_the_search_is_a_candidate_a_failure_or_its_end():
    line = {
        "method": "tune",
        "seconds": 2.0,
        "folds": FOLDS,
        "estimator": "SVC",
        "params": {"C": 3},
    }
    read = read_line(json.dumps(line), 7)
    assert isinstance(read, Candidate)
    assert (read.number, read.name, read.params) == (7, "SVC, tune", {"C": 3})
    assert read.scores == pytest.approx({"accuracy": 0.95, "log_loss": 0.2})
    assert read.standard_error("accuracy") == pytest.approx(0.05)
    failed = read_line('{"failed": "SVC", "reason": "no"}', 8)
    assert failed == Failure("SVC", "no")
    assert read_line('{"search_finished": true}', 9) == SearchStatus(finished=True)


def test_the_leaderboard_sorts_by_the_metric_and_breaks_ties_by_log_loss():
    better = candidate(folds=[{"accuracy": 0.96, "log_loss": 0.5}] * 2, number=1)
    sure = candidate(folds=[{"accuracy": 0.95, "log_loss": 0.1}] * 2, number=2)
    unsure = candidate(folds=[{"accuracy": 0.95, "log_loss": 0.4}] * 2, number=3)
    labels = candidate("RidgeClassifier", folds=[{"accuracy": 0.95}] * 2, number=4)
    everyone = [labels, unsure, sure, better]
    assert [one.number for one in leaderboard(everyone, "accuracy")] == [1, 2, 3, 4]
    assert [one.number for one in leaderboard(everyone, "log_loss")] == [2, 3, 1]
    assert [row["accuracy"] for row in rows(leaderboard(everyone, "accuracy"), "accuracy")] == [
        0.96,
        0.95,
        0.95,
        0.95,
    ]


def test_the_leaderboard_is_drawn_as_a_picture(tmp_path: Path):
    draw([candidate(), candidate("SVC", number=2)], "accuracy", tmp_path / "board.png")
    assert (tmp_path / "board.png").read_bytes()[:4] == b"\x89PNG"


def test_a_config_has_only_params_that_differ_from_current_defaults():
    assert config("LogisticRegression", LOGISTIC) == {
        "estimator": "LogisticRegression",
        "params": {"C": 2.5, "max_iter": 1000},
    }
    assert config("GradientBoostingClassifier", BOOSTING) == {
        "estimator": "GradientBoostingClassifier",
        "params": {"learning_rate": 0.15, "max_features": "log2"},
    }
    assert config("GaussianNB", BAYES) == {"estimator": "GaussianNB", "params": {}}
    layers = {"hidden_layer_sizes": [100], "activation": "tanh"}
    assert config("MLPClassifier", layers)["params"] == {"activation": "tanh"}


@pytest.mark.parametrize(
    ("penalty", "says"),
    [(None, {"C": math.inf}), ("l1", {"l1_ratio": 1.0}), ("elasticnet", {"l1_ratio": 0.25})],
)
def test_a_penalty_is_translated_for_the_current_scikit_learn(penalty: str | None, says: object):
    old = {"penalty": penalty, "l1_ratio": 0.25, "C": 1.0, "solver": "saga", "multi_class": "auto"}
    assert config("LogisticRegression", old)["params"] == {"solver": "saga"} | says  # type: ignore[operator]


def test_svc_with_probabilities_is_calibrated_as_current_scikit_learn_requires():
    assert config("SVC", {"C": 3.0, "probability": True, "gamma": "auto"}) == {
        "estimator": "CalibratedClassifierCV",
        "params": {
            "ensemble": False,
            "estimator": {"estimator": "SVC", "params": {"C": 3.0, "gamma": "auto"}},
        },
    }


def test_a_blend_becomes_a_voting_classifier_of_configs():
    members = {
        "logistic_regression": {"estimator": "LogisticRegression", "params": LOGISTIC},
        "naive_bayes": {"estimator": "GaussianNB", "params": BAYES},
    }
    blend = {
        "estimators": members,
        "voting": "soft",
        "weights": None,
        "n_jobs": 1,
        "verbose": False,
    }
    assert config("VotingClassifier", blend) == {
        "estimator": "VotingClassifier",
        "params": {
            "voting": "soft",
            "estimators": {
                "logistic_regression": {
                    "estimator": "LogisticRegression",
                    "params": {"C": 2.5, "max_iter": 1000},
                },
                "naive_bayes": {"estimator": "GaussianNB"},
            },
        },
    }


def project_parts() -> ModuleType:
    """Load the module here, although it is written for PyCaret's environment."""
    path = REPOSITORY / "ratchet/automl/project_parts.py"
    spec = importlib.util.spec_from_file_location("project_parts", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_search_uses_the_preparation_of_the_project(
    mixed: tuple[Split, Settings], tmp_path: Path
):
    split, settings = mixed
    request = write_request(split, settings, 0, tmp_path)
    kinds, features = split.table.kinds, split.train[0]
    theirs = project_parts().prepared(request).fit(as_plain(features, kinds))
    ours = preparation("dense", kinds, dict(features.dtypes)).fit(features)
    held_out = split.holdout[0]
    from_search, from_project = (
        theirs.transform(as_plain(held_out, kinds)),
        ours.transform(held_out),
    )
    assert from_search.shape == from_project.shape
    assert np.allclose(
        from_search[:, np.lexsort(from_search)], from_project[:, np.lexsort(from_project)]
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_the_search_computes_the_same_metrics_as_the_project(classes: int):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, 90)
    probabilities = rng.dirichlet(np.ones(classes), 90)
    labels = probabilities.argmax(axis=1)
    expected = scores(Answers(truth, labels, probabilities, classes))
    seen = (
        probabilities[:, 1] if classes == 2 else probabilities
    )  # as scikit-learn passes it to a metric
    for name, asks, metric in project_parts().metrics_of(classes):
        value = metric(truth, labels if asks == "pred" else seen, sample_weight=None)
        assert value == pytest.approx(expected.pop(name)), name
    assert set(expected) == {"calibration_error"}


def test_rows_that_pycaret_repeated_become_a_class_weight_in_the_config():
    weighed = config("LogisticRegression", LOGISTIC, imbalance=True)["params"]
    assert weighed == {"C": 2.5, "max_iter": 1000, "class_weight": "balanced"}


def test_the_config_is_a_file_that_train_reads(tmp_path: Path):
    winner = candidate("LogisticRegression", LOGISTIC)
    spec = as_spec(winner, 42, imbalance=False)
    write_config(winner, spec, "accuracy", tmp_path / "automl.yaml")
    text = (tmp_path / "automl.yaml").read_text()
    assert text.startswith("# Found by PyCaret: LogisticRegression, accuracy 0.9500 over 2 folds.")
    assert read_spec(tmp_path / "automl.yaml") == spec


def test_the_search_gets_the_training_split_and_no_row_of_the_holdout(
    mixed: tuple[Split, Settings], tmp_path: Path
):
    split, settings = mixed
    request = write_request(split, settings, jobs=0, folder=tmp_path)
    training = pd.read_parquet(request["train"])
    features, target = split.train
    assert len(training) == len(features)
    assert list(split.table.classes[training["target"]]) == list(target)
    held_out = as_plain(split.holdout[0], split.table.kinds)
    names = request["numeric"] + request["categorical"]
    together = held_out.merge(training[names].drop_duplicates(), on=names, how="inner")
    assert together.empty
    assert request["categorical"] == ["f2", "f3", "f8"]  # city, branch, newsletter
    assert all(training[name].dtype == "float64" for name in request["numeric"])
    assert training["f2"].isna().sum() == features["city"].isna().sum() > 0
    assert request["jobs"] == 1


def test_a_mixed_row_combines_two_rows_of_a_class_and_equals_neither():
    features = pd.DataFrame({"a": np.arange(40.0), "b": [f"t{n}" for n in range(40)]})
    codes = np.repeat([0, 1], 20)
    sample = mixed_rows(features, codes, seed=1)
    assert sample.equals(mixed_rows(features, codes, seed=1))
    first, second = sample["a"].astype(int), sample["b"].str[1:].astype(int)
    assert ((first < 20) == (second < 20)).all()
    assert (first != second).mean() > 0.3


def test_agreement_is_the_share_of_rows_with_the_same_prediction_of_both_models(tmp_path: Path):
    class Constant:
        def predict(self, sample: pd.DataFrame) -> list[str]:
            return ["x"] * len(sample)

    pd.DataFrame({"label": [0, 0, 0, 1]}).to_parquet(tmp_path / "p.parquet")
    sample = pd.DataFrame({"a": range(4)})
    classes = np.array(["x", "y"])
    assert agreement(Constant(), sample, tmp_path / "p.parquet", classes) == 0.75  # type: ignore[arg-type]


def test_too_little_agreement_is_a_warning_and_does_not_stop_the_line(
    mixed: tuple[Split, Settings],
):
    split, settings = mixed
    spec = as_spec(candidate("GaussianNB", BAYES), 42, imbalance=False)
    result = SearchResult(winner=candidate(), trained=train(spec, split, 42), agreement=0.8)
    message = warning(result, settings)
    assert message
    assert "the agreement with PyCaret's model is below automl.agreement, 0.9" in message
    assert message in summary(result, settings, "3")
    assert "It is v3. Next, let the gate judge it: mlflow run . -e evaluate" in summary(
        result, settings, "3"
    )
    result.agreement = 0.9
    assert warning(result, settings) is None


def test_a_class_with_fewer_rows_than_folds_is_an_error(tmp_path: Path):
    frame = mixed_frame()
    rare = frame[frame["outcome"] == "leaves"].head(4)
    path = write(pd.concat([frame[frame["outcome"] != "leaves"], rare]), tmp_path / "rare.parquet")
    settings = Settings.model_validate(
        {"model": "m", "data": {"source": str(path), "target": "outcome"}}
    )
    with pytest.raises(InputError, match=r"Class leaves has . rows, but there are 5 folds"):
        write_request(load_split(settings.data), settings, 0, tmp_path)


def test_only_estimators_that_fit_the_metric_and_the_imbalance_are_searched():
    with pytest.raises(InputError, match="'LogisticRegresion' cannot be searched; did you mean"):
        estimators_to_search(AutomlSettings(estimators=("LogisticRegresion",)), "accuracy")
    assert "RidgeClassifier" not in estimators_to_search(AutomlSettings(), "log_loss")
    assert estimators_to_search(AutomlSettings(imbalance=True), "accuracy") == [
        "LogisticRegression",
        "DecisionTreeClassifier",
        "SGDClassifier",
        "RidgeClassifier",
        "RandomForestClassifier",
        "ExtraTreesClassifier",
        "LGBMClassifier",
    ]
    with pytest.raises(InputError, match="none of RidgeClassifier can be searched"):
        estimators_to_search(AutomlSettings(estimators=("RidgeClassifier",)), "roc_auc")


def test_dask_without_an_address_is_an_error(mixed: tuple[Split, Settings], tmp_path: Path):
    split, settings = mixed
    dask = settings.model_copy(update={"automl": AutomlSettings(parallel="dask")})
    with pytest.raises(InputError, match=r"automl\.dask_address is not set"):
        write_request(split, dask, 0, tmp_path)
