"""The minimum of a training with MLflow: import it, then fit and score the same pipeline.

It uses the baseline's preparation and holdout, but not this repository's code. `benchmarks.train`
writes holdout.npy into the working folder: it says for each row of Iris whether it is held out.
"""

import mlflow
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler


def pipeline(columns: list[str]) -> Pipeline:
    prepare = make_pipeline(
        FunctionTransformer(
            np.asarray, kw_args={"dtype": "float64"}, feature_names_out="one-to-one"
        ),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    )
    model = LogisticRegression(solver="lbfgs", max_iter=1000, random_state=42)
    return make_pipeline(ColumnTransformer([("numbers", prepare, columns)]), model)


def scores(model: Pipeline, features: pd.DataFrame, truth: np.ndarray) -> dict[str, float]:
    labels, probabilities = model.predict(features), model.predict_proba(features)
    return {
        "accuracy": accuracy_score(truth, labels),
        "precision": precision_score(truth, labels, average="weighted"),
        "recall": recall_score(truth, labels, average="weighted"),
        "f1": f1_score(truth, labels, average="weighted"),
        "roc_auc": roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted"),
        "log_loss": log_loss(truth, probabilities),
    }


if __name__ == "__main__":
    iris = load_iris(as_frame=True)
    names, held_out = iris.target_names[iris.target], np.load("holdout.npy")
    fitted = pipeline(list(iris.data)).fit(iris.data[~held_out], names[~held_out])
    print(f"MLflow {mlflow.__version__}:", scores(fitted, iris.data[held_out], names[held_out]))
