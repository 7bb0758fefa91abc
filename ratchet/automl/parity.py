"""Preparation and metrics as the project has them, in the scikit-learn that PyCaret pins."""

import numpy as np
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

WEIGHTED = {"average": "weighted", "zero_division": 0}


def prepared(request):
    """What ratchet/model/preparation.py puts before most estimators, fitted in every fold.

    After PyCaret's own, which scales the columns of categories too, a KNeighborsClassifier answers
    every fourth row of a table of strings otherwise than the one that the project trains.
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
    """LightGBM refuses names with commas and quotes."""
    return f"{feature}_{str(category).encode().hex()}"


def metrics_of(classes):
    """Name, what it asks of a model, and the metric. PyCaret passes weights, which are None."""
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

    def roc_auc(truth, given, **weights):
        return metrics.roc_auc_score(truth, given, **(many if classes > 2 else {}))

    def log_loss(truth, given, **weights):
        return metrics.log_loss(truth, given, labels=codes)

    def brier(truth, given, **weights):
        if classes == 2:
            return metrics.brier_score_loss(truth, given)
        return ((given - np.eye(classes)[truth]) ** 2).sum(axis=1).mean()

    asked = [("pred", metric) for metric in (accuracy, precision, recall, f1)]
    asked += [("pred_proba", metric) for metric in (roc_auc, log_loss, brier)]
    return [(metric.__name__, asks, metric) for asks, metric in asked]
