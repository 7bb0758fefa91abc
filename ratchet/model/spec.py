"""Model configs: read from files, checked, and built as scikit-learn pipelines.

These checks do not use pydantic, because it could replace only the first four of `parse_spec`. The
allow-list, the parameters and the configs inside a config would still need this code.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.columns import Kind
from ratchet.documents import SUFFIXES, read_mapping
from ratchet.errors import InputError, nearest
from ratchet.model.estimators import ALLOWED, SEEDS, Estimator, allowed_estimator
from ratchet.model.parameters import check_parameters, defaults

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

KEYS = ("estimator", "params")
ONE_THREAD: dict[str, dict[str, Any]] = {
    "lightgbm": {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1},
    "xgboost": {"n_jobs": 1, "verbosity": 0},
    "catboost": {"thread_count": 1, "verbose": False, "allow_writing_files": False},
}
"""Train on one thread: the order of floating-point sums changes the result, and runs must be
reproducible bit for bit. To use several cores, several configs are trained at the same time."""
CODED = ("xgboost", "catboost")
"""These libraries accept only class codes 0..k-1, or return text and booleans in another type.
scikit-learn's VotingClassifier with one member, voting="soft", encodes and decodes the classes, so
that a stored model contains no code of this project."""

PACKAGES = {"lightgbm": "lightgbm", "xgboost": "xgboost-cpu", "catboost": "catboost"}


@dataclass(frozen=True)
class ModelSpec:
    """A model config after its checks."""

    name: str
    estimator: str
    params: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Return the digest of the content; layout, comments and file name do not change it."""
        content = json.dumps(_with_text_keys(self.as_config()), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def as_config(self) -> dict[str, Any]:
        return {"estimator": self.estimator, "params": dict(self.params)}

    @property
    def flat_params(self) -> dict[str, Any]:
        """Return all parameters, also of inner configs, under names that MLflow accepts."""
        flat = {"estimator": self.estimator} | _flatten(self.params)
        return {re.sub(r"[^\w. :/-]", "_", name)[:250]: value for name, value in flat.items()}


def config_files(path: Path) -> list[Path]:
    """Return the file itself, or the model configs of a folder, ordered by name."""
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
    """Return the valid specs, and for each other file the reason why it is not valid.

    Raise InputError if no file is valid.
    """
    specs: dict[str, ModelSpec] = {}
    reasons = {}
    for file in files:
        try:
            if file.stem in specs:
                raise InputError(f"{file}: another config is called '{file.stem}'; rename one")
            specs[file.stem] = read_spec(file)
        except InputError as error:
            reasons[file.name] = str(error)
    if not specs:
        raise InputError("; ".join(reasons.values()))
    return list(specs.values()), reasons


def parse_spec(name: str, content: Mapping[str, Any], where: str) -> ModelSpec:
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must be a model config, got {content!r}")
    for key in content:
        if key not in KEYS:
            raise InputError(f"{where}: unknown key '{key}'; {nearest(str(key), KEYS)}")
    estimator = content.get("estimator")
    if not isinstance(estimator, str):
        raise InputError(
            f"{where}: 'estimator' must be a name, such as LogisticRegression, got {estimator!r}"
        )
    allowed = allowed_estimator(estimator, where)
    params = {} if content.get("params") is None else content["params"]
    if not isinstance(params, Mapping):
        raise InputError(f"{where}: 'params' must map names to values, got {params!r}")
    check_parameters(allowed, params, where)
    for place, inner in _inner_contents(params):
        parse_spec(place, inner, where=f"{where}: params.{place}")
    return ModelSpec(name, estimator, params)


def _inner_contents(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each model config inside `params` with its place, such as estimators.trees."""
    for key in ("estimator", "final_estimator"):
        if params.get(key) is not None:
            yield key, params[key]
    for name, content in params.get("estimators", {}).items():
        yield f"estimators.{name}", content


def build(
    spec: ModelSpec, kinds: Mapping[str, Kind], dtypes: Mapping[str, Any], seed: int
) -> "Pipeline":
    """Return the unfitted model: a preparation for the kinds of the columns, and the estimator."""
    from sklearn.pipeline import Pipeline

    from ratchet.model.preparation import preparation

    if ALLOWED[spec.estimator].preparation == "members":
        members = [(name, build(one, kinds, dtypes, seed)) for name, one in _members(spec)]
        return Pipeline([("model", _estimator(spec, seed, members))])
    needs = ALLOWED[_innermost(spec).estimator].preparation
    # A blend inside another estimator gets the input of the outer one. Every possible member
    # accepts dense numbers.
    needs = "dense" if needs == "members" else needs
    return Pipeline(
        [("prepare", preparation(needs, kinds, dtypes)), ("model", _estimator(spec, seed))]
    )


def _estimator(spec: ModelSpec, seed: int, members: list[tuple[str, Any]] | None = None) -> Any:
    params = dict(spec.params)
    for key, inner in _inner(spec).items():
        params[key] = _estimator(inner, seed)
    if ALLOWED[spec.estimator].inner == "estimators":
        params["estimators"] = members or [(n, _estimator(one, seed)) for n, one in _members(spec)]
    return _with_defaults(ALLOWED[spec.estimator], params, seed)


def _with_defaults(estimator: Estimator, params: Mapping[str, Any], seed: int) -> Any:
    """Return the estimator with the project's seed and one thread, unless params say otherwise."""
    known, fixed = defaults(estimator), dict(ONE_THREAD.get(estimator.library, {}))
    if not any(params.get(name) is not None for name in SEEDS) and SEEDS[0] in known:
        fixed[SEEDS[0]] = seed
    chosen = {k: value for k, value in params.items() if k not in SEEDS or value is not None}
    built = estimator.load()(**fixed | chosen)
    if estimator.library in CODED:
        from sklearn.ensemble import VotingClassifier

        return VotingClassifier([("coded", built)], voting="soft")
    return built


def _inner(spec: ModelSpec) -> dict[str, ModelSpec]:
    """Return the inner configs: that of a wrapper, and the final estimator of a stack."""
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


def libraries(spec: ModelSpec) -> set[str]:
    """Return the packages besides scikit-learn that the model of this config needs."""
    inner = [*_inner(spec).values()]
    if ALLOWED[spec.estimator].inner == "estimators":
        inner += [member for _, member in _members(spec)]
    package = PACKAGES.get(ALLOWED[spec.estimator].library)
    return ({package} if package else set()).union(*map(libraries, inner))


def _with_text_keys(value: Any) -> Any:
    """Return the value with its keys as JSON texts; otherwise the keys 1 and "1" become equal."""
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
