"""The request to the search: the training rows in a Parquet file, and the settings."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from ratchet.automl.agreement import sample_of
from ratchet.columns import Kind, TextKind
from ratchet.data.folds import Fold, folds
from ratchet.data.split import Split
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
LABELS_ONLY = ("RidgeClassifier", "SGDClassifier")  # they predict no probabilities
FEW_VALUES = 200_000  # for a smaller table, starting more processes takes longer than it saves
CATEGORICAL = ("categorical", *get_args(TextKind))  # hash and tfidf columns become categories too


def write_request(split: Split, settings: Settings, jobs: int, folder: Path) -> dict[str, Any]:
    """Write the training rows and the sample into the folder, and return the request.

    The holdout is not written, so the search cannot see it.
    """
    automl, seed = settings.automl, settings.data.seed
    estimators = estimators_to_search(automl, settings.metric)
    require_each_class_in_each_fold(split, automl.folds)
    own_folds = folds_of(split, settings)
    features, target = split.train
    codes = np.searchsorted(split.table.classes, target)
    kinds = split.table.kinds
    train = as_plain(features, kinds).assign(target=codes)
    train.to_parquet(folder / "train.parquet", index=False)
    if own_folds is not None:
        write_folds(own_folds, len(target), folder / "folds.parquet")
    sample = sample_of(split, own_folds, seed)
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
        "fold_rows": None if own_folds is None else str(folder / "folds.parquet"),
        "seed": seed,
        "jobs": jobs or (1 if features.size < FEW_VALUES else -1),
        "budget_minutes": automl.budget_minutes,
        "n_select": automl.n_select,
        "tune_iterations": automl.tune_iterations,
        "imbalance": automl.imbalance,
        "dask": _dask_address(automl),
    }


def folds_of(split: Split, settings: Settings) -> list[Fold] | None:
    """Return the folds if the project splits by time or group.

    Otherwise return None: PyCaret then draws the folds at random within each class.
    """
    if split.rule.by == "random":
        return None
    return folds(split, settings.automl.folds, settings.data.seed)


def write_folds(made: Sequence[Fold], rows: int, file: Path) -> None:
    """Write a column for each fold: 1 in its training rows, 2 in its test rows, 0 in the others."""
    columns = {}
    for number, (train, test) in enumerate(made):
        column = np.zeros(rows, dtype="int8")
        column[train], column[test] = 1, 2
        columns[str(number)] = column
    pd.DataFrame(columns).to_parquet(file, index=False)


def estimators_to_search(automl: AutomlSettings, metric: Metric) -> list[str]:
    """Return the estimators to search: those in the settings, otherwise the quick ones.

    Estimators are left out if the metric needs probabilities that they do not have, or if
    automl.imbalance needs the parameter class_weight and they do not have it.
    """
    for name in automl.estimators:
        if name not in (*QUICK, *SLOW):
            raise InputError(
                f"automl.estimators: '{name}' cannot be searched; {nearest(name, (*QUICK, *SLOW))}"
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
            f" {metric} needs probabilities or automl.imbalance needs class_weight. Name other"
            " estimators"
        )
    return names


def weighs_classes(estimator: str) -> bool:
    """Return whether the estimator has the parameter class_weight.

    With it, a config gives rare classes the weight that PyCaret gives them by repeating their rows.
    """
    return "class_weight" in inspect.signature(ALLOWED[estimator].load()).parameters


def require_each_class_in_each_fold(split: Split, folds: int) -> None:
    """Raise InputError if a class has fewer training rows than there are folds.

    The last row does not count, because PyCaret needs it as test data.
    """
    classes, (_, target) = split.table.classes, split.train
    counts = np.bincount(np.searchsorted(classes, target[:-1]), minlength=len(classes))
    fewest = counts.min()
    if fewest < folds:
        remedy = f"Set automl.folds to {fewest}, add" if fewest > 1 else "Add"
        raise InputError(
            f"Class {classes[counts.argmin()]!s} has {fewest} rows, but there are {folds} folds"
            f" (automl.folds), and each needs a row of it. {remedy} rows of that class, or"
            " remove the class"
        )


def as_plain(features: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Return the columns as PyCaret gets them: categories as texts, all others as numbers.

    The columns are named f0, f1, ..., because LightGBM refuses some characters in names.
    """
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
