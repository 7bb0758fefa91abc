"""The allow-list: which estimators a model config may name, and what each needs of its input.

A model config is data that arrives by pull request. A name outside this list is never imported.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Preparation = Literal["boosted", "trees", "scaled", "dense", "positive", "binned", "members"]
"""What stands before the estimator.

boosted: takes missing values and category codes itself. trees: filled, category codes, unscaled.
scaled: filled, standardised, one-hot. dense: the same, never sparse. positive: scaled to [0,1].
binned: everything as 0 and 1. members: nothing, each member brings its own.
"""


@dataclass(frozen=True)
class Estimator:
    name: str
    module: str
    preparation: Preparation
    inner: str | None = None  # the parameter that holds configs of estimators inside

    def load(self) -> Any:
        return getattr(import_module(self.module), self.name)


def _listed() -> dict[str, Estimator]:
    table: list[tuple[Preparation, str, str]] = [
        ("boosted", "lightgbm", "LGBMClassifier"),
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
    wrappers = {
        "sklearn.ensemble": "AdaBoostClassifier BaggingClassifier",
        "sklearn.model_selection": "FixedThresholdClassifier TunedThresholdClassifierCV",
        "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier",
    }
    listed = [Estimator(n, module, kind) for kind, module, names in table for n in names.split()]
    listed += [
        Estimator(n, module, "trees", inner="estimator")
        for module, names in wrappers.items()
        for n in names.split()
    ]
    listed.append(
        Estimator("CalibratedClassifierCV", "sklearn.calibration", "scaled", inner="estimator")
    )
    listed += [
        Estimator(n, "sklearn.ensemble", "members", inner="estimators")
        for n in ("StackingClassifier", "VotingClassifier")
    ]
    return {estimator.name: estimator for estimator in listed}


ALLOWED = _listed()
