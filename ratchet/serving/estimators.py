"""Faster forms of fitted estimators: the same answers, without scikit-learn's checks of each call.

Forms of one estimator are fast at different sizes. They are measured once, when a version is
loaded, and the fastest is used for each size; the last one is for files with many rows. There is no
form for any other estimator than those below: it is called as it is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from ratchet.serving import formulas, trees
from ratchet.serving.trees import Proba

Scores = tuple[np.ndarray, np.ndarray | None]  # classes, and probabilities in their order
SIZES = (1, 8, 64, 512)  # rows of a call

# Their `predict` is the class with the largest probability, so they need not be asked twice.
PREDICT_IS_ARGMAX = {
    *("BaggingClassifier", "DecisionTreeClassifier", "ExtraTreeClassifier", "GaussianNB"),
    *("MLPClassifier", "ExtraTreesClassifier", "RandomForestClassifier"),
    *("GradientBoostingClassifier", "HistGradientBoostingClassifier"),
    *("LGBMClassifier", "XGBClassifier", "CatBoostClassifier"),
}


class NoDirectPathError(Exception):
    """The pipeline has to answer; the message says why."""


@dataclass(frozen=True)
class Form:
    name: str
    scores: Callable[[np.ndarray], Scores]
    scores_of_many: Callable[[np.ndarray], Scores]  # the same bits on each machine
    is_quick: bool = False  # so fast and so even that an event loop can wait for it
    why_not_faster: str | None = None


def fast_form(model: Any, is_sparse: bool, example: np.ndarray) -> Form:
    """Return the fastest form of the fitted estimator for arrays that are prepared like `example`.

    `is_sparse`: it was trained on a sparse matrix. Linear models and trees take an array as well.
    """
    classes, model = model.classes_, _unwrapped(model)
    name = type(model).__name__
    if name in LOGISTIC or name in LINEAR:
        linear = _logistic(model) if name in LOGISTIC else _linear(model)
        return Form("linear", linear, linear, is_quick=True)
    if name in FORMS:
        try:
            form, candidates = FORMS[name](model)
        except Exception as error:  # a form may not know all that an estimator can be
            why = f"{name} has no faster form: {error}"
        else:
            few, many = _fastest(candidates, example), candidates[-1]
            return Form(form, _likeliest(classes, few), _likeliest(classes, many))
    else:
        why = f"{name} has no faster form: {REASONS.get(name, UNKNOWN)}"
    if is_sparse:
        raise NoDirectPathError(f"{why}, and it was trained on a sparse matrix")
    if not hasattr(model, "predict_proba"):
        return _as_it_is(lambda block: (model.predict(block), None), why)
    if name in PREDICT_IS_ARGMAX:
        return _as_it_is(_likeliest(classes, model.predict_proba), why)

    def both(block: np.ndarray) -> Scores:
        return model.predict(block), model.predict_proba(block)

    return _as_it_is(both, why)


def _as_it_is(scores: Callable[[np.ndarray], Scores], why: str) -> Form:
    return Form("arrays", scores, scores, why_not_faster=why)


def _unwrapped(model: Any) -> Any:
    """Return the member of a vote of one: that gives XGBoost and CatBoost classes as codes."""
    is_alone = type(model).__name__ == "VotingClassifier" and len(model.estimators_) == 1
    return model.estimators_[0] if is_alone and model.voting == "soft" else model


def _forest(model: Any) -> tuple[str, list[Proba]]:
    return "flat trees", [trees.forest(model), trees.forest_by_tree(model)]


def _gradient_boosting(model: Any) -> tuple[str, list[Proba]]:
    return "flat trees", [trees.gradient_boosting(model), model.predict_proba]


def _hist_gradient_boosting(model: Any) -> tuple[str, list[Proba]]:
    return "flat trees", [trees.hist_gradient_boosting(model), model.predict_proba]


def _lightgbm(model: Any) -> tuple[str, list[Proba]]:
    booster = model.booster_
    return "booster", [_of_booster(lambda block: booster.predict(block, num_threads=1))]


def _xgboost(model: Any) -> tuple[str, list[Proba]]:
    booster = model.get_booster()
    booster.set_param({"nthread": 1})
    end = getattr(model, "best_iteration", None)
    rounds = (0, end + 1) if end is not None else (0, 0)
    return "booster", [
        _of_booster(lambda block: booster.inplace_predict(block, iteration_range=rounds))
    ]


def _neural_network(model: Any) -> tuple[str, list[Proba]]:
    return "formula", [formulas.neural_network(model)]


def _gaussian(model: Any) -> tuple[str, list[Proba]]:
    return "formula", [formulas.gaussian(model), model.predict_proba]


def _tree(model: Any) -> tuple[str, list[Proba]]:
    return "tree", [formulas.tree(model)]


def _of_booster(predict: Proba) -> Proba:
    """A booster of two classes returns the probability of the second alone."""

    def probabilities(block: np.ndarray) -> np.ndarray:
        answer = predict(block)
        return answer if answer.ndim == 2 else np.stack([1 - answer, answer], axis=1)

    return probabilities


FORMS: Mapping[str, Callable[[Any], tuple[str, list[Proba]]]] = {
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "HistGradientBoostingClassifier": _hist_gradient_boosting,
    "LGBMClassifier": _lightgbm,
    "XGBClassifier": _xgboost,
    "MLPClassifier": _neural_network,
    "GaussianNB": _gaussian,
    "DecisionTreeClassifier": _tree,
    "ExtraTreeClassifier": _tree,
}
LOGISTIC = ("LogisticRegression", "LogisticRegressionCV")
LINEAR = ("LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV")

UNKNOWN = "this project has none for it"
NEIGHBOURS = "if distances are equal, only its own search chooses the same neighbours"
LIBSVM = "libsvm's compiled code answers"
WRAPPED = "it calls its inner models one after the other"
FORMULA = "its own code is a short formula already"
KERNEL = "it compares each row with all training rows"
REASONS: Mapping[str, str] = {
    **dict.fromkeys(("KNeighborsClassifier", "RadiusNeighborsClassifier"), NEIGHBOURS),
    **dict.fromkeys(("SVC", "NuSVC"), LIBSVM),
    **dict.fromkeys(("AdaBoostClassifier", "BaggingClassifier", "CalibratedClassifierCV"), WRAPPED),
    **dict.fromkeys(("FixedThresholdClassifier", "TunedThresholdClassifierCV"), WRAPPED),
    **dict.fromkeys(("OneVsOneClassifier", "OneVsRestClassifier"), WRAPPED),
    **dict.fromkeys(("OutputCodeClassifier", "StackingClassifier", "VotingClassifier"), WRAPPED),
    **dict.fromkeys(("BernoulliNB", "CategoricalNB", "ComplementNB", "MultinomialNB"), FORMULA),
    **dict.fromkeys(("DummyClassifier", "NearestCentroid", "SGDClassifier"), FORMULA),
    **dict.fromkeys(("LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis"), FORMULA),
    **dict.fromkeys(("GaussianProcessClassifier", "LabelPropagation", "LabelSpreading"), KERNEL),
    "CatBoostClassifier": "its own library answers; no other form was measured",
}


def _likeliest(classes: np.ndarray, predict_proba: Proba) -> Callable[[np.ndarray], Scores]:
    def scores(block: np.ndarray) -> Scores:
        probabilities = predict_proba(block)
        return classes[probabilities.argmax(axis=1)], probabilities

    return scores


def _fastest(candidates: Sequence[Proba], example: np.ndarray) -> Proba:
    """Return a function that calls the candidate that is fastest at about this number of rows."""
    if len(candidates) == 1:
        return candidates[0]
    choice = []
    for size in SIZES:
        block = np.resize(example, (size, example.shape[1]))
        choice.append(min(candidates, key=lambda candidate: _seconds(candidate, block)))

    def probabilities(block: np.ndarray) -> np.ndarray:
        place = int(np.searchsorted(SIZES, len(block)))
        return choice[min(place, len(choice) - 1)](block)

    return probabilities


def _seconds(candidate: Proba, block: np.ndarray) -> float:
    """Return the shortest of three calls."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        candidate(block)
        taken.append(time.perf_counter() - began)
    return min(taken)


def _linear(model: Any) -> Callable[[np.ndarray], Scores]:
    weights, intercept, classes = model.coef_.T, model.intercept_, model.classes_

    def scores(block: np.ndarray) -> Scores:
        decision = block @ weights + intercept
        if len(classes) == 2:
            return classes[(decision.ravel() > 0).astype(int)], None
        return classes[decision.argmax(axis=1)], None

    return scores


def _logistic(model: Any) -> Callable[[np.ndarray], Scores]:
    weights, intercept, classes = model.coef_.T, model.intercept_, model.classes_

    def binary(block: np.ndarray) -> Scores:
        decision = (block @ weights + intercept).ravel()
        second = expit(decision)
        return classes[(decision > 0).astype(int)], np.stack([1 - second, second], axis=1)

    def several(block: np.ndarray) -> Scores:
        decision = block @ weights + intercept
        return classes[decision.argmax(axis=1)], softmax(decision, axis=1)

    return binary if len(classes) == 2 else several


def same(left: Scores, right: Scores) -> bool:
    """Return whether all classes are equal, and probabilities up to the rounding of a sum."""
    if not np.array_equal(left[0], right[0]):
        return False
    if left[1] is None or right[1] is None:
        return left[1] is right[1]
    return np.allclose(left[1], right[1], rtol=1e-9, atol=1e-12)
