"""The allow-list: the estimators that a model config may name, and the input each one needs.

Model configs arrive by pull request. A name that is not on this list is never imported.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from ratchet.errors import InputError, nearest

Preparation = Literal["boosted", "trees", "scaled", "dense", "positive", "binned", "members"]
"""How columns are prepared for an estimator.

boosted: category codes; missing values stay. trees: missing values filled, category codes.
scaled: filled, standardised, one-hot. dense: like scaled, never a sparse matrix.
positive: like scaled, but numbers lie in [0, 1]. binned: every column as zeros and ones.
members: nothing; each member of a blend has a preparation of its own.
"""


@dataclass(frozen=True)
class Estimator:
    name: str
    module: str
    preparation: Preparation
    inner: str | None = None  # the parameter that holds the config(s) of inner estimators

    @property
    def library(self) -> str:
        return self.module.split(".")[0]

    def load(self) -> Any:
        return getattr(import_module(self.module), self.name)


TABLE: list[tuple[Preparation, str, str]] = [
    ("boosted", "lightgbm", "LGBMClassifier"),
    ("boosted", "xgboost", "XGBClassifier"),
    ("boosted", "catboost", "CatBoostClassifier"),
    ("boosted", "sklearn.ensemble", "HistGradientBoostingClassifier"),
    ("trees", "sklearn.ensemble", "ExtraTreesClassifier GradientBoostingClassifier"),
    ("trees", "sklearn.ensemble", "RandomForestClassifier"),
    ("trees", "sklearn.tree", "DecisionTreeClassifier ExtraTreeClassifier"),
    ("scaled", "sklearn.dummy", "DummyClassifier"),
    ("scaled", "sklearn.linear_model", "LogisticRegression LogisticRegressionCV Perceptron"),
    ("scaled", "sklearn.linear_model", "RidgeClassifier RidgeClassifierCV SGDClassifier"),
    ("scaled", "sklearn.neighbors", "KNeighborsClassifier RadiusNeighborsClassifier"),
    ("scaled", "sklearn.neighbors", "NearestCentroid"),
    ("scaled", "sklearn.neural_network", "MLPClassifier"),
    ("scaled", "sklearn.svm", "LinearSVC NuSVC SVC"),
    ("dense", "sklearn.discriminant_analysis", "LinearDiscriminantAnalysis"),
    ("dense", "sklearn.discriminant_analysis", "QuadraticDiscriminantAnalysis"),
    ("dense", "sklearn.gaussian_process", "GaussianProcessClassifier"),
    ("dense", "sklearn.naive_bayes", "GaussianNB"),
    ("dense", "sklearn.semi_supervised", "LabelPropagation LabelSpreading"),
    ("positive", "sklearn.naive_bayes", "ComplementNB MultinomialNB"),
    ("binned", "sklearn.naive_bayes", "BernoulliNB CategoricalNB"),
]
WRAPPERS: list[tuple[Preparation, str, str]] = [
    ("trees", "sklearn.ensemble", "AdaBoostClassifier BaggingClassifier"),
    ("trees", "sklearn.model_selection", "FixedThresholdClassifier TunedThresholdClassifierCV"),
    ("trees", "sklearn.multiclass", "OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier"),
    ("scaled", "sklearn.calibration", "CalibratedClassifierCV"),
]
"""Each holds one inner estimator. The preparation named here is for the default inner one."""
BLENDS: list[tuple[Preparation, str, str]] = [
    ("members", "sklearn.ensemble", "StackingClassifier VotingClassifier"),
]


def _allowed() -> Iterator[Estimator]:
    for inner, table in ((None, TABLE), ("estimator", WRAPPERS), ("estimators", BLENDS)):
        for preparation, module, names in table:
            yield from (Estimator(name, module, preparation, inner) for name in names.split())


ALLOWED = {estimator.name: estimator for estimator in _allowed()}
SEEDS = ("random_state", "random_seed")  # CatBoost takes both names


def allowed_estimator(name: str, where: str) -> Estimator:
    if name not in ALLOWED:
        raise InputError(f"{where}: estimator '{name}' is not on the list; {_hint(name)}")
    estimator = ALLOWED[name]
    if find_spec(estimator.library) is None:
        raise InputError(
            f"{where}: {name} needs the package {estimator.library}, which is not installed;"
            f" add it to requirements.in, run make lock and make setup"
        )
    return estimator


def _hint(name: str) -> str:
    """Return the nearest allowed name, unless `name` is an estimator and not a misspelt one."""
    if name in _well_known():
        return f"it cannot be used in a model config. Allowed: {', '.join(sorted(ALLOWED))}"
    return nearest(name, ALLOWED)


def _well_known() -> set[str]:
    from sklearn.utils import all_estimators

    other = "XGBRFClassifier XGBRegressor XGBRFRegressor XGBRanker LGBMRegressor LGBMRanker"
    return {name for name, _ in all_estimators()} | {*other.split(), "CatBoostRegressor"}
