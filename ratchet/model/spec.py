"""A model config <-> a scikit-learn pipeline."""

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.columns import Kind
from ratchet.documents import SUFFIXES, read_mapping
from ratchet.errors import InputError, nearest
from ratchet.model.estimators import ALLOWED, Estimator
from ratchet.model.parameters import check_parameters

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class ModelSpec:
    name: str
    estimator: str
    params: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Of the meaning: layout, comments and the file's name do not count."""
        content = json.dumps(_with_text_keys(self.as_config()), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

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
    specs: dict[str, ModelSpec] = {}
    broken = {}
    for file in files:
        try:
            if file.stem in specs:
                raise InputError(f"{file}: another config is called '{file.stem}'; rename one")
            specs[file.stem] = read_spec(file)
        except InputError as error:
            broken[file.name] = str(error)
    return list(specs.values()), broken


def parse_spec(name: str, content: Mapping[str, Any], where: str) -> ModelSpec:
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must be a model config, got {content!r}")
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
    params = {} if content.get("params") is None else content["params"]
    if not isinstance(params, Mapping):
        raise InputError(
            f"{where}: 'params' holds {params!r}; expected a mapping of names to values"
        )
    check_parameters(ALLOWED[estimator], params, where)
    for place, inner in _configs(params):
        parse_spec(place, inner, where=f"{where}: params.{place}")
    return ModelSpec(name, estimator, params)


def _configs(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The model configs inside one, each with where it stands."""
    for key in ("estimator", "final_estimator"):
        if params.get(key) is not None:
            yield key, params[key]
    for name, content in params.get("estimators", {}).items():
        yield f"estimators.{name}", content


def build(
    spec: ModelSpec, kinds: Mapping[str, Kind], dtypes: Mapping[str, Any], seed: int
) -> "Pipeline":
    """The whole model, unfitted: preparation by column kind, then the estimator."""
    from sklearn.pipeline import Pipeline

    from ratchet.model.preparation import preparation

    if ALLOWED[spec.estimator].preparation == "members":
        members = [(n, build(member, kinds, dtypes, seed)) for n, member in _members(spec)]
        return Pipeline([("model", _estimator(spec, seed, members))])
    needs = ALLOWED[_innermost(spec).estimator].preparation
    # A blend inside another estimator sees what that one sees; every member can take dense numbers.
    needs = "dense" if needs == "members" else needs
    return Pipeline(
        [("prepare", preparation(needs, kinds, dtypes)), ("model", _estimator(spec, seed))]
    )


def _estimator(spec: ModelSpec, seed: int, members: list[tuple[str, Any]] | None = None) -> Any:
    params = dict(spec.params)
    for key, inner in _inner(spec).items():
        params[key] = _estimator(inner, seed)
    if ALLOWED[spec.estimator].inner == "estimators":
        params["estimators"] = members or [(n, _estimator(m, seed)) for n, m in _members(spec)]
    return _make(ALLOWED[spec.estimator], params, seed)


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
    given = {k: v for k, v in params.items() if (k, v) != ("random_state", None)}
    return cls(**defaults | given)


def _inner(spec: ModelSpec) -> dict[str, ModelSpec]:
    """The one estimator that a wrapper holds, and the one that ends a stack."""
    return {
        key: ModelSpec(key, spec.params[key]["estimator"], spec.params[key].get("params") or {})
        for key in ("estimator", "final_estimator")
        if spec.params.get(key) is not None
    }


def _innermost(spec: ModelSpec) -> ModelSpec:
    inner = _inner(spec).get("estimator")
    return spec if inner is None else _innermost(inner)


def _members(spec: ModelSpec) -> list[tuple[str, ModelSpec]]:
    return [
        (name, ModelSpec(name, content["estimator"], content.get("params") or {}))
        for name, content in spec.params["estimators"].items()
    ]


def _with_text_keys(value: Any) -> Any:
    """JSON sorts no mixture of keys, and writes 1 and "1" alike."""
    if isinstance(value, Mapping):
        return {json.dumps(key): _with_text_keys(inner) for key, inner in value.items()}
    return [_with_text_keys(inner) for inner in value] if isinstance(value, list) else value


def _flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
