"""Fits with a weight for each row, as far as an estimator takes weights."""

from typing import Any

import numpy as np
import pandas as pd

PASSING_ON = ("VotingClassifier",)  # it passes on whatever its `fit` is given


def fit(
    model: Any, features: pd.DataFrame, target: np.ndarray, weights: np.ndarray | None
) -> list[str]:
    """Fit the pipeline; return the names of estimators that take no weights and got none."""
    name, last = model.steps[-1]
    if weights is None:
        model.fit(features, target)
        return []
    if type(last).__name__ == "VotingClassifier" and hasattr(last.estimators[0][1], "steps"):
        return _fit_blend(last, features, target, weights)
    if not _takes_weights(last):
        model.fit(features, target)
        return [type(last).__name__]
    model.fit(features, target, **{f"{name}__sample_weight": weights})
    return []


def _fit_blend(
    blend: Any, features: pd.DataFrame, target: np.ndarray, weights: np.ndarray
) -> list[str]:
    """Fit a VotingClassifier of pipelines, to which its own `fit` cannot pass weights."""
    from sklearn.base import clone
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import Bunch

    blend.le_ = LabelEncoder().fit(target)
    blend.classes_ = blend.le_.classes_
    blend.estimators_ = [clone(member) for _, member in blend.estimators]
    without = [
        name
        for member in blend.estimators_
        for name in fit(member, features, blend.le_.transform(target), weights)
    ]
    names = [name for name, _ in blend.estimators]
    blend.named_estimators_ = Bunch(**dict(zip(names, blend.estimators_, strict=True)))
    blend.feature_names_in_ = np.array(features.columns, dtype=object)
    return without


def _takes_weights(estimator: Any) -> bool:
    """Return whether it takes weights, and so do the estimators that it consists of."""
    from sklearn.utils.validation import has_fit_parameter

    name = type(estimator).__name__
    if name == "StackingClassifier":
        return False
    inner = [value for value in estimator.get_params(deep=False).values() if _is_estimator(value)]
    inner += [member for _, member in getattr(estimator, "estimators", None) or []]
    takes = name in PASSING_ON or has_fit_parameter(estimator, "sample_weight")
    return takes and all(map(_takes_weights, inner))


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "fit") and not isinstance(value, type)
