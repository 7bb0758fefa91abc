"""The translation of a candidate into a model config, as a person would write it.

The config has only parameters that differ from the defaults. Parameters of scikit-learn 1.4, which
PyCaret uses, are translated to the project's newer version.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from ratchet.automl.candidates import Candidate
from ratchet.model.estimators import ALLOWED
from ratchet.model.spec import ModelSpec, parse_spec

NAME = "automl"
IGNORED = ("n_jobs", "verbose")


def as_spec(candidate: Candidate, seed: int, imbalance: bool) -> ModelSpec:
    content = _config(candidate.estimator, candidate.params, seed, imbalance)
    return parse_spec(NAME, content, where=candidate.name)


def _config(
    estimator: str, params: Mapping[str, Any], seed: int, imbalance: bool
) -> dict[str, Any]:
    current = _current_params(estimator, params)
    if "estimators" in current:
        current["estimators"] = {
            name: _config(member["estimator"], member["params"], seed, imbalance)
            for name, member in current["estimators"].items()
        }
    signature = inspect.signature(ALLOWED[estimator].load()).parameters
    if imbalance and "class_weight" in signature:
        current["class_weight"] = "balanced"  # PyCaret repeated the rows of the rare classes
    kept = {
        name: value
        for name, value in current.items()
        if name in signature and name not in IGNORED
        if signature[name].default != "deprecated"
        if value != _as_list(signature[name].default) and (name, value) != ("random_state", seed)
    }
    if estimator == "SVC" and params.get("probability"):
        return _calibrated({"estimator": estimator, "params": kept})
    return {"estimator": estimator} | ({"params": kept} if kept else {})


def _as_list(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _current_params(estimator: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of scikit-learn 1.4 with the names and values of the current version.

    Parameters that the current version does not have are kept; the caller drops them.
    """
    current = dict(params)
    if current.get("class_weight") == {}:
        current["class_weight"] = None
    if estimator == "LogisticRegression":
        penalty, ratio = current.pop("penalty"), current.pop("l1_ratio")
        current["l1_ratio"] = {"l1": 1.0, "elasticnet": ratio}.get(penalty, 0.0)
        current["C"] = float("inf") if penalty is None else current["C"]
    if estimator == "SVC":
        current.pop("probability")
    return current


def _calibrated(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config that gives SVC probabilities, as its parameter probability did in 1.4."""
    return {
        "estimator": "CalibratedClassifierCV",
        "params": {"ensemble": False, "estimator": config},
    }
