"""Models and scores as JSON lines, and models made from them."""

import json
from pathlib import Path

import numpy as np


def append(file, content):
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(content) + "\n")


def last_line(error):
    """Return the last line: scikit-learn reports failed fits in many, and the last is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def scores(model, folds):
    """Return the scores of each fold, without those that need probabilities if there are none."""
    names = list(folds)
    if not hasattr(model, "predict_proba"):
        names = [name for name in names if name in ("accuracy", "precision", "recall", "f1")]
    return [{name: float(fold[name]) for name in names} for _, fold in folds.iterrows()]


def to_json(model):
    params = model.get_params(deep=False)
    if "estimators" in params:
        members = params["estimators"]
        params["estimators"] = {"_".join(n.lower().split()): to_json(m) for n, m in members}
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    return {"estimator": type(model).__name__, "params": plain}


def from_json(content, classes):
    params = dict(content["params"])
    if "estimators" in params:
        members = params["estimators"].items()
        params["estimators"] = [(name, from_json(inner, classes)) for name, inner in members]
    return classes[content["estimator"]](**params)
