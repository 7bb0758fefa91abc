"""The request to the search: the training split as Parquet, and the settings."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from ratchet.automl.agreement import mixed_rows
from ratchet.columns import Kind, TextKind
from ratchet.data.dataset import Split
from ratchet.errors import InputError, nearest
from ratchet.model.estimators import ALLOWED
from ratchet.model.metrics import FROM_PROBABILITIES
from ratchet.settings import AutomlSettings, Metric, Settings

QUICK = (
    "LogisticRegression",
    "KNeighborsClassifier",
    "GaussianNB",
    "DecisionTreeClassifier",
    "SGDClassifier",
    "RidgeClassifier",
    "RandomForestClassifier",
    "QuadraticDiscriminantAnalysis",
    "AdaBoostClassifier",
    "GradientBoostingClassifier",
    "LinearDiscriminantAnalysis",
    "ExtraTreesClassifier",
    "LGBMClassifier",
)
SLOW = ("SVC", "MLPClassifier", "GaussianProcessClassifier")  # only if automl.estimators name them
LABELS_ONLY = ("RidgeClassifier", "SGDClassifier")
FEW_VALUES = 200_000  # with fewer, starting more processes costs more time than it saves
CATEGORICAL = ("categorical", *get_args(TextKind))  # PyCaret has no preparation for texts


def write_request(split: Split, settings: Settings, jobs: int, folder: Path) -> dict[str, Any]:
    """Write the tables of the request into the folder; the holdout is not among them."""
    automl, seed = settings.automl, settings.data.seed
    estimators = estimators_to_search(automl, settings.metric)
    require_each_class_in_each_fold(split, automl.folds)
    features, target = split.train
    codes = np.searchsorted(split.table.classes, target)
    kinds = split.table.kinds
    train = as_plain(features, kinds).assign(target=codes)
    train.to_parquet(folder / "train.parquet", index=False)
    sample = mixed_rows(features, codes, seed)
    as_plain(sample, kinds).to_parquet(folder / "sample.parquet", index=False)
    categorical = [f"f{n}" for n, kind in enumerate(kinds.values()) if kind in CATEGORICAL]
    return {
        "train": str(folder / "train.parquet"),
        "sample": str(folder / "sample.parquet"),
        "predictions": str(folder / "predictions.parquet"),
        "numeric": [name for name in train if name not in ("target", *categorical)],
        "categorical": categorical,
        "estimators": estimators,
        "metric": settings.metric,
        "folds": automl.folds,
        "seed": seed,
        "jobs": jobs or (1 if features.size < FEW_VALUES else -1),
        "budget_minutes": automl.budget_minutes,
        "n_select": automl.n_select,
        "tune_iterations": automl.tune_iterations,
        "imbalance": automl.imbalance,
        "dask": _dask_address(automl),
    }


def estimators_to_search(automl: AutomlSettings, metric: Metric) -> list[str]:
    """Return the estimators that the metric can score and that a config can describe."""
    for name in automl.estimators:
        if name not in (*QUICK, *SLOW):
            raise InputError(
                f"automl.estimators: PyCaret does not search '{name}';"
                f" {nearest(name, (*QUICK, *SLOW))}"
            )
    names = [
        name
        for name in automl.estimators or QUICK
        if not (metric in FROM_PROBABILITIES and name in LABELS_ONLY)
        and not (automl.imbalance and not weighs_classes(name))
    ]
    if not names:
        raise InputError(
            f"automl.estimators: none of {', '.join(automl.estimators)} can be searched, because"
            f" {metric} needs probabilities or automl.imbalance needs class_weight; name others"
        )
    return names


def weighs_classes(estimator: str) -> bool:
    """Return whether a config can do by class_weight what PyCaret does by repeating rows."""
    return "class_weight" in inspect.signature(ALLOWED[estimator].load()).parameters


def require_each_class_in_each_fold(split: Split, folds: int) -> None:
    """Raise InputError if a class has fewer rows than folds; PyCaret holds the last row back."""
    classes, (_, target) = split.table.classes, split.train
    counts = np.bincount(np.searchsorted(classes, target[:-1]), minlength=len(classes))
    fewest = counts.min()
    if fewest < folds:
        mend = f"Set automl.folds to {fewest}, add" if fewest > 1 else "Add"
        raise InputError(
            f"Class {classes[counts.argmin()]!s} has {fewest} rows for {folds} folds"
            f" (automl.folds), so a fold would lack it. {mend} rows of that class, or leave it out"
        )


def as_plain(features: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Return the columns under numbered names: categories as text, everything else as numbers."""
    columns = {}
    for number, (name, kind) in enumerate(kinds.items()):
        column = features[name]
        if kind in CATEGORICAL:
            column = column.astype(object).where(column.notna(), None)
            column = column.map(lambda value: None if value is None else str(value))
        elif kind == "date":
            seconds = column.astype("datetime64[s]").astype("int64").astype("float64")
            column = seconds.where(column.notna())
        columns[f"f{number}"] = column if kind in CATEGORICAL else column.astype("float64")
    return pd.DataFrame(columns)


def _dask_address(automl: AutomlSettings) -> str | None:
    if automl.parallel == "dask" and automl.dask_address is None:
        raise InputError(
            "automl.parallel is dask, but automl.dask_address is not set; give the address of the"
            " scheduler, such as tcp://scheduler:8786"
        )
    return automl.dask_address if automl.parallel == "dask" else None
