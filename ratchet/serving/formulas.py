"""Estimators whose answer is a short formula, computed by NumPy as scikit-learn computes it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp, softmax

Proba = Callable[[np.ndarray], np.ndarray]

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda values: values,
    "tanh": np.tanh,
    "logistic": expit,
    "relu": lambda values: np.maximum(values, 0),
    "softmax": lambda values: softmax(values, axis=1),
}


def neural_network(model: Any) -> Proba:
    """Return predict_proba of an MLPClassifier."""
    *hidden, last = zip(model.coefs_, model.intercepts_, strict=True)
    between, at_end = ACTIVATIONS[model.activation], ACTIVATIONS[model.out_activation_]

    def probabilities(block: np.ndarray) -> np.ndarray:
        for weights, intercept in hidden:
            block = between(block @ weights + intercept)
        weights, intercept = last
        answer = at_end(block @ weights + intercept)
        return answer if answer.shape[1] > 1 else np.hstack([1 - answer, answer])

    return probabilities


def gaussian(model: Any) -> Proba:
    """Return predict_proba of a GaussianNB: for one row, all classes in one step."""
    means, variances = model.theta_, model.var_
    constant = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * variances).sum(axis=1)

    def probabilities(block: np.ndarray) -> np.ndarray:
        distances = ((block[:, None, :] - means) ** 2 / variances).sum(axis=2)
        joint = constant - 0.5 * distances
        return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))

    return probabilities


def tree(model: Any) -> Proba:
    """Return predict_proba of a single tree, without the checks around it."""
    fitted = model.tree_

    def probabilities(block: np.ndarray) -> np.ndarray:
        return np.asarray(fitted.predict(np.ascontiguousarray(block, dtype=np.float32)))

    return probabilities
