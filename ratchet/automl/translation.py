"""What PyCaret found, as the model config that a person would have written for it."""

import inspect
from collections.abc import Mapping
from typing import Any

from ratchet.automl.candidates import Candidate
from ratchet.model.estimators import ALLOWED
from ratchet.model.spec import ModelSpec, parse_spec

NAME = "automl"
NOT_OF_THE_MODEL = ("n_jobs", "verbose")


def as_spec(candidate: Candidate, seed: int, imbalance: bool) -> ModelSpec:
    content = _config(candidate.estimator, candidate.params, seed, imbalance)
    return parse_spec(NAME, content, where=candidate.name)


def _config(
    estimator: str, params: Mapping[str, Any], seed: int, imbalance: bool
) -> dict[str, Any]:
    said = _translated(estimator, params)
    if "estimators" in said:
        said["estimators"] = {
            name: _config(member["estimator"], member["params"], seed, imbalance)
            for name, member in said["estimators"].items()
        }
    signature = inspect.signature(ALLOWED[estimator].load()).parameters
    if imbalance and "class_weight" in signature:
        said["class_weight"] = "balanced"  # PyCaret repeated the rows of the rare classes
    kept = {
        name: value
        for name, value in said.items()
        if name in signature and name not in NOT_OF_THE_MODEL
        if signature[name].default != "deprecated"
        if value != _as_list(signature[name].default) and (name, value) != ("random_state", seed)
    }
    if estimator == "SVC" and params.get("probability"):
        return _calibrated({"estimator": estimator, "params": kept})
    return {"estimator": estimator} | ({"params": kept} if kept else {})


def _as_list(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _translated(estimator: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Into the words of a current scikit-learn; what it does not know falls away later."""
    said = dict(params)
    if said.get("class_weight") == {}:
        said["class_weight"] = None
    if estimator == "LogisticRegression":
        penalty, ratio = said.pop("penalty"), said.pop("l1_ratio")
        said["l1_ratio"] = {"l1": 1.0, "elasticnet": ratio}.get(penalty, 0.0)
        said["C"] = float("inf") if penalty is None else said["C"]
    if estimator == "SVC":
        said.pop("probability")
    return said


def _calibrated(config: dict[str, Any]) -> dict[str, Any]:
    """What a current scikit-learn has instead of SVC's probability=True."""
    return {
        "estimator": "CalibratedClassifierCV",
        "params": {"ensemble": False, "estimator": config},
    }
