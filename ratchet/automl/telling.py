"""What the search tells of a model, in JSON lines, and a model from what was told."""

import json
from pathlib import Path

import numpy as np


def append(file, what):
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(what) + "\n")


def last_line(error):
    """scikit-learn tells of failed fits in many lines; the cause is the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def scores(model, folds):
    """By fold. PyCaret gives 0 for what needs probabilities where a model has none."""
    known = list(folds)
    if not hasattr(model, "predict_proba"):
        known = [name for name in known if name in ("accuracy", "precision", "recall", "f1")]
    return [{name: float(fold[name]) for name in known} for _, fold in folds.iterrows()]


def described(model):
    params = model.get_params(deep=False)
    if "estimators" in params:
        members = params["estimators"]
        params["estimators"] = {"_".join(n.lower().split()): described(m) for n, m in members}
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    return {"estimator": type(model).__name__, "params": plain}


def revived(description, known):
    params = dict(description["params"])
    if "estimators" in params:
        members = params["estimators"].items()
        params["estimators"] = [(name, revived(inner, known)) for name, inner in members]
    return known[description["estimator"]](**params)
