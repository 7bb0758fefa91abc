"""A model config <-> a scikit-learn pipeline."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.config import Kind
from ratchet.documents import SUFFIXES, read_mapping
from ratchet.errors import InputError, nearest
from ratchet.estimators import ALLOWED, Estimator

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

REMOVED = {
    "multi_class": "scikit-learn has removed it: LogisticRegression is multinomial by itself, and"
    " OneVsRestClassifier does what multi_class: ovr did. Delete the line",
    "base_estimator": "scikit-learn calls it 'estimator' now",
    "loss_": "an attribute of a fitted model is no parameter",
}


@dataclass(frozen=True)
class ModelSpec:
    name: str
    estimator: str
    params: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Of the meaning: layout, comments and the file's name do not count."""
        return hashlib.sha256(json.dumps(self.as_config(), sort_keys=True).encode()).hexdigest()

    def as_config(self) -> dict[str, Any]:
        return {"estimator": self.estimator, "params": dict(self.params)}

    @property
    def flat_params(self) -> dict[str, Any]:
        return {"estimator": self.estimator} | _flatten(self.params)


def config_files(path: Path) -> list[Path]:
    """One config, or those of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise InputError(
            f"{path} holds no model config; add a file ending in {', '.join(SUFFIXES)}"
        )
    return files


def read_spec(path: Path) -> ModelSpec:
    return parse_spec(path.stem, read_mapping(path), where=str(path))


def read_specs(files: list[Path]) -> tuple[list[ModelSpec], dict[str, str]]:
    """The specs, and by name what is wrong with each file that holds none."""
    specs, broken = [], {}
    for file in files:
        try:
            specs.append(read_spec(file))
        except InputError as error:
            broken[file.name] = str(error)
    return specs, broken


def parse_spec(name: str, content: Mapping[str, Any], where: str) -> ModelSpec:
    for key in content:
        if key not in ("estimator", "params"):
            known = nearest(str(key), ("estimator", "params"))
            raise InputError(f"{where}: unknown key '{key}'; {known}")
    estimator = content.get("estimator")
    if not isinstance(estimator, str):
        raise InputError(f"{where}: 'estimator' must name one, such as LogisticRegression")
    if estimator not in ALLOWED:
        raise InputError(
            f"{where}: estimator '{estimator}' is not on the list; {nearest(estimator, ALLOWED)}"
        )
    params = content.get("params") or {}
    if not isinstance(params, Mapping):
        raise InputError(
            f"{where}: 'params' holds {params!r}; expected a mapping of names to values"
        )
    spec = ModelSpec(name, estimator, params)
    _check_params(spec, where)
    return spec


def build(
    spec: ModelSpec, kinds: Mapping[str, Kind], dtypes: Mapping[str, Any], seed: int
) -> "Pipeline":
    """The whole model, unfitted: preparation by column kind, then the estimator."""
    from sklearn.pipeline import Pipeline

    from ratchet.preparation import preparation

    allowed = ALLOWED[spec.estimator]
    if allowed.preparation == "members":
        members = [
            (name, build(member, kinds, dtypes, seed)) for name, member in _members(spec).items()
        ]
        others = {k: v for k, v in spec.params.items() if k != allowed.inner}
        final = _final_estimator(others, seed)
        return Pipeline([("model", _make(allowed, others | final | {"estimators": members}, seed))])
    needs = ALLOWED[_innermost(spec).estimator].preparation
    return Pipeline(
        [("prepare", preparation(needs, kinds, dtypes)), ("model", _estimator(spec, seed))]
    )


def _estimator(spec: ModelSpec, seed: int) -> Any:
    allowed = ALLOWED[spec.estimator]
    params = dict(spec.params)
    inner = _inner(spec)
    if inner is not None:
        params["estimator"] = _estimator(inner, seed)
    return _make(allowed, params, seed)


def _make(allowed: Estimator, params: Mapping[str, Any], seed: int) -> Any:
    """With the project's seed, and on one core, so that a run can be made again bit for bit.

    Threads add floats in the order in which they happen to end; cores are for configs side by side.
    """
    cls = allowed.load()
    defaults: dict[str, Any] = {}
    if "random_state" in inspect.signature(cls).parameters:
        defaults["random_state"] = seed
    if allowed.module == "lightgbm":
        defaults |= {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return cls(**defaults | dict(params))


def _inner(spec: ModelSpec) -> ModelSpec | None:
    content = spec.params.get("estimator")
    if ALLOWED[spec.estimator].inner != "estimator" or content is None:
        return None
    return parse_spec("estimator", content, where=f"{spec.name}: params.estimator")


def _innermost(spec: ModelSpec) -> ModelSpec:
    inner = _inner(spec)
    return spec if inner is None else _innermost(inner)


def _members(spec: ModelSpec) -> dict[str, ModelSpec]:
    return {
        name: parse_spec(name, content, where=f"{spec.name}: params.estimators.{name}")
        for name, content in spec.params["estimators"].items()
    }


def _final_estimator(params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    content = params.get("final_estimator")
    if content is None:
        return {}
    final = parse_spec("final_estimator", content, where="params.final_estimator")
    return {"final_estimator": _estimator(final, seed)}


def _check_params(spec: ModelSpec, where: str) -> None:
    allowed = ALLOWED[spec.estimator]
    signature = inspect.signature(allowed.load()).parameters
    known = [name for name in signature if name not in ("self", "kwargs")]
    for name in spec.params:
        if name not in known:
            hint = REMOVED.get(str(name)) or nearest(str(name), known)
            raise InputError(f"{where}: {spec.estimator} takes no parameter '{name}'; {hint}")
    required = [name for name in known if signature[name].default is inspect.Parameter.empty]
    for name in required:
        if name not in spec.params:
            raise InputError(f"{where}: {spec.estimator} needs params.{name}, a model config")
    if allowed.inner == "estimators":
        members = spec.params.get("estimators")
        if not isinstance(members, Mapping) or not members:
            raise InputError(
                f"{where}: {spec.estimator} needs params.estimators, a mapping of names to model"
                f" configs; got {members!r}"
            )
        _members(spec)
    for key in ("estimator", "final_estimator"):
        content = spec.params.get(key)
        if content is not None and not isinstance(content, Mapping):
            raise InputError(f"{where}: params.{key} must be a model config, got {content!r}")
    _inner(spec)
    _final_estimator(spec.params, seed=0)
    _check_values(spec, where)


def _check_values(spec: ModelSpec, where: str) -> None:
    """By scikit-learn's own constraints, before anything is fitted. LightGBM has none to ask."""
    from sklearn.utils._param_validation import (
        InvalidParameterError,
        validate_parameter_constraints,
    )

    constraints = getattr(ALLOWED[spec.estimator].load(), "_parameter_constraints", {})
    plain = {
        name: value
        for name, value in spec.params.items()
        if name in constraints and name not in ("estimator", "estimators", "final_estimator")
    }
    try:
        validate_parameter_constraints(constraints, plain, caller_name=spec.estimator)
    except InvalidParameterError as error:
        raise InputError(f"{where}: {' '.join(str(error).split())}") from None


def _flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
