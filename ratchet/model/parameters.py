"""What an estimator's parameters may be, asked of the estimator before anything is fitted."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from ratchet.errors import InputError, nearest
from ratchet.model.estimators import Estimator

REMOVED = {
    "multi_class": "scikit-learn has removed it: LogisticRegression is multinomial by itself, and"
    " OneVsRestClassifier does what multi_class: ovr did. Delete the line",
    "base_estimator": "scikit-learn calls it 'estimator' now",
}
CONFIGS = ("estimator", "estimators", "final_estimator")  # hold model configs, not values


def check_parameters(estimator: Estimator, params: Mapping[str, Any], where: str) -> None:
    signature = inspect.signature(estimator.load()).parameters
    known = [name for name in signature if name not in ("self", "kwargs")]
    for name in params:
        if name not in known:
            hint = REMOVED.get(str(name)) or nearest(str(name), known)
            raise InputError(f"{where}: {estimator.name} takes no parameter '{name}'; {hint}")
    for name in known:
        if signature[name].default is inspect.Parameter.empty and params.get(name) is None:
            raise InputError(f"{where}: {estimator.name} needs params.{name}, a model config")
    if params.get("cv") == "prefit":
        raise InputError(f"{where}: params.cv is 'prefit', but nothing is fitted before; delete it")
    if estimator.inner == "estimators":
        _check_names(params["estimators"], known, f"{where}: params.estimators")
    plain = {name: value for name, value in params.items() if name not in CONFIGS}
    _check_constraints(estimator, plain, where)
    _check_types(estimator, plain, where)


def _check_names(members: Any, taken: list[str], where: str) -> None:
    if not isinstance(members, Mapping) or not members:
        raise InputError(f"{where} must map names to model configs, got {members!r}")
    for name in members:
        if not isinstance(name, str) or "__" in name or name in taken:
            raise InputError(
                f"{where}: a member cannot be named {name!r}; take a text without '__' that is no"
                " parameter's name"
            )


def _check_constraints(estimator: Estimator, plain: Mapping[str, Any], where: str) -> None:
    """By scikit-learn's own constraints."""
    from sklearn.utils._param_validation import (
        InvalidParameterError,
        validate_parameter_constraints,
    )

    constraints = getattr(estimator.load(), "_parameter_constraints", {})
    asked = {name: value for name, value in plain.items() if name in constraints}
    try:
        validate_parameter_constraints(constraints, asked, caller_name=estimator.name)
    except InvalidParameterError as error:
        raise InputError(f"{where}: {error}") from None


def _check_types(estimator: Estimator, plain: Mapping[str, Any], where: str) -> None:
    """By the signature's annotations: LightGBM has these and no constraints."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints = get_type_hints(estimator.load().__init__) if estimator.module == "lightgbm" else {}
    config = ConfigDict(arbitrary_types_allowed=True)
    for name, value in plain.items():
        try:
            TypeAdapter(hints.get(name, Any), config=config).validate_python(value, strict=True)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise InputError(
                f"{where}: {said} for the '{name}' parameter of {estimator.name}. Got {value!r}"
            ) from None
