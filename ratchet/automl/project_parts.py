"""The project's preparation and metrics, for the scikit-learn version that PyCaret pins."""

import numpy as np
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

WEIGHTED = {"average": "weighted", "zero_division": 0}


def prepared(request):
    """Return the preparation of ratchet/model/preparation.py, which PyCaret fits in every fold.

    PyCaret's own preparation also scales the columns of categories. Behind it, the same
    KNeighborsClassifier predicts another class for every fourth row of a table of strings.
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
    """Return a column name without commas and quotes, which LightGBM refuses."""
    return f"{feature}_{str(category).encode().hex()}"


def metrics_of(classes):
    """Return (name, "pred" or "pred_proba", function); PyCaret passes weights, which are None."""
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
