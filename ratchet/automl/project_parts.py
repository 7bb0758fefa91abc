"""This project's preparation of columns and its metrics, written for PyCaret's scikit-learn 1.4.

search.py uses them in PyCaret's environment, where the project itself cannot be imported.
"""

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

WEIGHTED = {"average": "weighted", "zero_division": 0}


class Folds:
    """A splitter, with the interface of scikit-learn, that returns the folds of the project."""

    def __init__(self, folds):
        self.folds = folds

    def split(self, X, y=None, groups=None):
        return iter(self.folds)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.folds)


def folds_of_project(request):
    """Return the project's folds by time or group, or None if PyCaret chooses them at random.

    The last training row is in no fold, because PyCaret needs it as test data.
    """
    if request["fold_rows"] is None:
        return None
    sides = pd.read_parquet(request["fold_rows"]).iloc[:-1]
    return Folds(
        [(np.flatnonzero(sides[name] == 1), np.flatnonzero(sides[name] == 2)) for name in sides]
    )


def prepared(request):
    """Return the preparation that ratchet/model/preparation.py makes; PyCaret fits it in each fold.

    PyCaret's own preparation is not used, because it also scales the columns of categories. After
    it, the same KNeighborsClassifier predicts another class for a quarter of a table of strings.
    """
    numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)"),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=100,
            sparse_output=False,
            feature_name_combiner=plain_name,
        ),
    )
    groups = [("numbers", numbers, request["numeric"]), ("texts", texts, request["categorical"])]
    return ColumnTransformer([one for one in groups if one[2]], verbose_feature_names_out=False)


def plain_name(feature, category):
    """Return the name of a category's column, without commas and quotes, which LightGBM refuses."""
    return f"{feature}_{str(category).encode().hex()}"


def metrics_of(classes):
    """Return each metric as (name, "pred" or "pred_proba", function), for PyCaret's add_metric.

    "pred" means that the function needs labels, "pred_proba" that it needs probabilities. PyCaret
    also passes weights to the functions, which are always None here. `classes` is their number.
    """
    codes = list(range(classes))
    many = {"average": "weighted", "multi_class": "ovr", "labels": codes}

    def accuracy(truth, labels, **weights):
        return metrics.accuracy_score(truth, labels)

    def precision(truth, labels, **weights):
        return metrics.precision_score(truth, labels, **WEIGHTED)

    def recall(truth, labels, **weights):
        return metrics.recall_score(truth, labels, **WEIGHTED)

    def f1(truth, labels, **weights):
        return metrics.f1_score(truth, labels, **WEIGHTED)

    def roc_auc(truth, probabilities, **weights):
        return metrics.roc_auc_score(truth, probabilities, **(many if classes > 2 else {}))

    def log_loss(truth, probabilities, **weights):
        return metrics.log_loss(truth, probabilities, labels=codes)

    def brier(truth, probabilities, **weights):
        if classes == 2:
            return metrics.brier_score_loss(truth, probabilities)
        return ((probabilities - np.eye(classes)[truth]) ** 2).sum(axis=1).mean()

    pairs = [("pred", metric) for metric in (accuracy, precision, recall, f1)]
    pairs += [("pred_proba", metric) for metric in (roc_auc, log_loss, brier)]
    return [(metric.__name__, needs, metric) for needs, metric in pairs]
