"""Checks of an estimator's parameters, made before anything is fitted."""

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
CONFIGS = ("estimator", "estimators", "final_estimator")  # parameters that hold model configs
FILES = (  # parameters by which CatBoost reads or writes files
    "allow_writing_files",
    "input_borders",
    "output_borders",
    "per_float_feature_quantization",
    "save_snapshot",
    "snapshot_file",
    "snapshot_interval",
    "train_dir",
)


def defaults(estimator: Estimator) -> dict[str, Any]:
    """Return each parameter's default; a parameter that must be given has Parameter.empty."""
    signature = inspect.signature(_constructor(estimator))
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in ("self", "kwargs", *FILES)
    }


def _constructor(estimator: Estimator) -> Any:
    """Return the function that declares the parameters; XGBoost does it in a base class."""
    if estimator.library == "xgboost":
        from xgboost import XGBModel

        return XGBModel.__init__
    return inspect.unwrap(estimator.load().__init__)


def check_parameters(estimator: Estimator, params: Mapping[str, Any], where: str) -> None:
    known = defaults(estimator)
    for name in params:
        if name not in known:
            hint = REMOVED.get(str(name)) or nearest(str(name), known)
            raise InputError(f"{where}: {estimator.name} takes no parameter '{name}'; {hint}")
    for name, default in known.items():
        if default is inspect.Parameter.empty and params.get(name) is None:
            raise InputError(f"{where}: {estimator.name} needs params.{name}, a model config")
    if params.get("cv") == "prefit":
        raise InputError(
            f"{where}: params.cv is 'prefit', but no estimator is fitted before this one;"
            " delete the line"
        )
    if estimator.inner == "estimators":
        _check_member_names(params["estimators"], list(known), f"{where}: params.estimators")
    plain = {name: value for name, value in params.items() if name not in CONFIGS}
    _check_constraints(estimator, plain, where)
    _check_types(estimator, plain, where)


def _check_member_names(members: Any, parameters: list[str], where: str) -> None:
    if not isinstance(members, Mapping) or not members:
        raise InputError(f"{where} must map names to model configs, got {members!r}")
    for name in members:
        if not isinstance(name, str) or "__" in name or name in parameters:
            raise InputError(
                f"{where}: a member cannot be named {name!r}; choose a text that has no '__' in it"
                " and is not the name of a parameter"
            )


def _check_constraints(estimator: Estimator, plain: Mapping[str, Any], where: str) -> None:
    from sklearn.utils._param_validation import (
        InvalidParameterError,
        validate_parameter_constraints,
    )

    constraints = getattr(estimator.load(), "_parameter_constraints", {})
    constrained = {name: value for name, value in plain.items() if name in constraints}
    try:
        validate_parameter_constraints(constraints, constrained, caller_name=estimator.name)
    except InvalidParameterError as error:
        raise InputError(f"{where}: {error}") from None


def _check_types(estimator: Estimator, plain: Mapping[str, Any], where: str) -> None:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    hints = _type_hints(estimator)
    config = ConfigDict(arbitrary_types_allowed=True)
    for name, value in plain.items():
        try:
            TypeAdapter(hints.get(name, Any), config=config).validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise InputError(
                f"{where}: {message} for the '{name}' parameter of {estimator.name}. Got {value!r}"
            ) from None


def _type_hints(estimator: Estimator) -> dict[str, Any]:
    """Return the annotations of LightGBM and XGBoost, which have no constraints to check."""
    if estimator.library not in ("lightgbm", "xgboost"):
        return {}
    hints = get_type_hints(_constructor(estimator))
    return hints | {"objective": str | None}  # XGBoost's own annotation cannot be checked
