"""The model configs of `benchmarks.zoo`: the shipped ones with few trees, and every estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratchet.model.estimators import ALLOWED
from ratchet.model.spec import ModelSpec, config_files, parse_spec, read_spec

CONFIGS = Path(__file__).parent.parent / "configs/models"
MOST_TREES = 5
# Parameters that an estimator needs, or that make it quick enough.
PARAMS: dict[str, dict[str, Any]] = {
    **{
        name: {"estimator": {"estimator": "LogisticRegression"}}
        for name in (
            "FixedThresholdClassifier",
            "TunedThresholdClassifierCV",
            "OneVsOneClassifier",
            "OneVsRestClassifier",
            "OutputCodeClassifier",
        )
    },
    **{
        name: {
            "estimators": {
                "a": {"estimator": "LogisticRegression"},
                "b": {"estimator": "DecisionTreeClassifier"},
            }
        }
        for name in ("StackingClassifier", "VotingClassifier")
    },
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.5},
    "RadiusNeighborsClassifier": {"radius": 50.0},
    "CatBoostClassifier": {"n_estimators": 50},
}


def estimators(tables: int) -> list[str]:
    """Return one more estimator for each table, so that all are used over the zoo."""
    names = sorted(ALLOWED)
    return [names[number % len(names)] for number in range(tables)]


def shipped_specs(configs: Sequence[str]) -> list[ModelSpec]:
    files = config_files(CONFIGS)
    specs = [read_spec(file) for file in files if not configs or file.stem in configs]
    return [replace(spec, params=with_fewer_trees(spec.params)) for spec in specs]


def one_more(estimator: str) -> ModelSpec:
    content = {"estimator": estimator, "params": PARAMS.get(estimator, {})}
    return parse_spec("one-more", content, "one-more.yaml")


def with_fewer_trees(value: Any) -> Any:
    """Return parameters with `MOST_TREES` trees, also those of inner configs."""
    if not isinstance(value, Mapping):
        return value
    trees = ("n_estimators", "max_iter") if "early_stopping" in value else ("n_estimators",)
    return {
        name: MOST_TREES if name in trees else with_fewer_trees(inner)
        for name, inner in value.items()
    }
