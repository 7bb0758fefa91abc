"""Conversion of models and scores to JSON, and of JSON to models.

search.py uses these functions in PyCaret's environment.
"""

import json
from pathlib import Path

import numpy as np


def append(file, content):
    """Append the content to the file, as one line of JSON."""
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(content) + "\n")


def last_line(error):
    """Return the last line of an error. In scikit-learn's long messages, it names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def scores(model, folds):
    """Return the scores of each fold, without metrics that need probabilities if there are none."""
    names = list(folds)
    if not hasattr(model, "predict_proba"):
        names = [name for name in names if name in ("accuracy", "precision", "recall", "f1")]
    return [{name: float(fold[name]) for name in names} for _, fold in folds.iterrows()]


def to_json(model):
    """Return the model's class and parameters. The members of a blend are converted too."""
    params = model.get_params(deep=False)
    if "estimators" in params:
        members = params["estimators"]
        params["estimators"] = {"_".join(n.lower().split()): to_json(m) for n, m in members}
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    return {"estimator": type(model).__name__, "params": plain}


def from_json(content, classes):
    """Return the unfitted model. `classes` has the class of each estimator by its name."""
    params = dict(content["params"])
    if "estimators" in params:
        members = params["estimators"].items()
        params["estimators"] = [(name, from_json(inner, classes)) for name, inner in members]
    return classes[content["estimator"]](**params)
