"""The peers' model: a bare logistic regression on arrays, with nothing before it."""

from typing import Any

COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def fitted(C: float = 1.0) -> Any:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, target = load_iris(return_X_y=True)
    return LogisticRegression(C=C, max_iter=1000).fit(features, target)
