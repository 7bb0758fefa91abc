"""Parameters for every allowed estimator, and parameters that bring further types into a model."""

from typing import Any

from ratchet.data.dataset import Table
from ratchet.model.spec import build, parse_spec

LINEAR = {"estimator": "LogisticRegression"}
TREE = {"estimator": "DecisionTreeClassifier", "params": {"max_depth": 3}}

NEEDED: dict[str, dict[str, Any]] = {
    "FixedThresholdClassifier": {"estimator": LINEAR},
    "OneVsOneClassifier": {"estimator": LINEAR},
    "OneVsRestClassifier": {"estimator": LINEAR},
    "OutputCodeClassifier": {"estimator": LINEAR},
    "QuadraticDiscriminantAnalysis": {"solver": "eigen", "shrinkage": 0.5},
    "RadiusNeighborsClassifier": {"radius": 50.0},
    "StackingClassifier": {"estimators": {"a": LINEAR, "b": TREE}},
    "TunedThresholdClassifierCV": {"estimator": LINEAR},
    "VotingClassifier": {"estimators": {"a": LINEAR, "b": TREE}},
    # Smaller than their defaults, so that the test is quick.
    "GradientBoostingClassifier": {"n_estimators": 10},
    "HistGradientBoostingClassifier": {"max_iter": 10},
    "MLPClassifier": {"max_iter": 20},
    "RandomForestClassifier": {"n_estimators": 10},
    "ExtraTreesClassifier": {"n_estimators": 10},
    "AdaBoostClassifier": {"n_estimators": 10},
    "CatBoostClassifier": {"n_estimators": 10},
    "XGBClassifier": {"n_estimators": 10},
}
TWO_CLASSES_ONLY = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")

NEIGHBOURS = [
    {"metric": metric, "algorithm": algorithm}
    for metric, algorithms in {
        "manhattan": ("ball_tree", "kd_tree", "brute"),
        "chebyshev": ("ball_tree", "kd_tree", "brute"),
        "euclidean": ("ball_tree", "kd_tree", "brute"),
        "cosine": ("brute",),
        "canberra": ("ball_tree", "brute"),
        "braycurtis": ("ball_tree", "brute"),
        "hamming": ("ball_tree", "brute"),
        "jaccard": ("ball_tree",),
        "dice": ("ball_tree",),
        "rogerstanimoto": ("ball_tree",),
        "russellrao": ("ball_tree",),
        "sokalsneath": ("ball_tree",),
    }.items()
    for algorithm in algorithms
] + [{"metric": "minkowski", "p": 3, "algorithm": a} for a in ("ball_tree", "kd_tree", "brute")]
LOSSES = ["hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "squared_error"]
LOSSES += ["huber", "epsilon_insensitive", "squared_epsilon_insensitive"]
SCORES = "accuracy balanced_accuracy f1_weighted matthews_corrcoef precision_macro recall_macro"
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *[("KNeighborsClassifier", params) for params in NEIGHBOURS],
    ("RadiusNeighborsClassifier", {"radius": 99.0, "metric": "manhattan", "algorithm": "kd_tree"}),
    *[("SGDClassifier", {"loss": loss}) for loss in LOSSES],
    ("SGDClassifier", {"penalty": "elasticnet", "early_stopping": True, "average": True}),
    ("MLPClassifier", {"solver": "sgd", "max_iter": 20}),
    ("MLPClassifier", {"solver": "lbfgs", "max_iter": 20, "hidden_layer_sizes": [5, 5]}),
    ("HistGradientBoostingClassifier", {"max_iter": 5, "categorical_features": [2, 3]}),
    ("HistGradientBoostingClassifier", {"max_iter": 5, "early_stopping": True}),
    ("GradientBoostingClassifier", {"n_estimators": 5, "init": "zero"}),
    ("GradientBoostingClassifier", {"n_estimators": 5, "n_iter_no_change": 2}),
    ("RandomForestClassifier", {"n_estimators": 5, "oob_score": True, "criterion": "entropy"}),
    ("LabelSpreading", {"kernel": "knn"}),
    ("LabelPropagation", {"kernel": "knn"}),
    ("NuSVC", {"nu": 0.1, "kernel": "poly"}),
    ("SVC", {"kernel": "linear", "class_weight": "balanced"}),
    ("LinearDiscriminantAnalysis", {"solver": "eigen", "shrinkage": "auto"}),
    ("CalibratedClassifierCV", {"method": "isotonic"}),
    ("CalibratedClassifierCV", {"method": "temperature"}),
    ("CalibratedClassifierCV", {"estimator": TREE, "ensemble": False}),
    ("LogisticRegressionCV", {"scoring": "neg_log_loss", "max_iter": 50}),
    ("RidgeClassifierCV", {"cv": 3, "scoring": "accuracy"}),
    ("NearestCentroid", {"metric": "manhattan"}),
    ("DummyClassifier", {"strategy": "stratified"}),
    ("BaggingClassifier", {"estimator": {"estimator": "KNeighborsClassifier"}}),
    ("AdaBoostClassifier", {"estimator": LINEAR, "n_estimators": 5}),
    ("OneVsRestClassifier", {"estimator": {"estimator": "SVC"}}),
    ("LGBMClassifier", {"n_estimators": 5, "boosting_type": "dart"}),
    ("LGBMClassifier", {"n_estimators": 5, "objective": "multiclass"}),
    ("LGBMClassifier", {"n_estimators": 5, "importance_type": "gain"}),
    ("XGBClassifier", {"n_estimators": 5, "booster": "dart"}),
    ("XGBClassifier", {"n_estimators": 5, "booster": "gblinear"}),
    ("XGBClassifier", {"n_estimators": 5, "tree_method": "exact", "objective": "multi:softmax"}),
    ("CatBoostClassifier", {"n_estimators": 5, "auto_class_weights": "Balanced"}),
    (
        "CatBoostClassifier",
        {"iterations": 5, "random_seed": 3, "loss_function": "MultiClassOneVsAll"},
    ),
    ("BaggingClassifier", {"estimator": {"estimator": "XGBClassifier"}, "n_estimators": 2}),
    (
        "StackingClassifier",
        {
            "estimators": {"a": LINEAR, "b": {"estimator": "LGBMClassifier"}},
            "final_estimator": {"estimator": "GradientBoostingClassifier"},
            "cv": 2,
        },
    ),
]
TWO_CLASS_VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("GradientBoostingClassifier", {"n_estimators": 5, "loss": "exponential"}),
    ("LogisticRegression", {"solver": "liblinear"}),
    ("LGBMClassifier", {"n_estimators": 5, "objective": "binary"}),
    ("FixedThresholdClassifier", {"estimator": TREE, "threshold": 0.3}),
    *[
        ("TunedThresholdClassifierCV", {"estimator": LINEAR, "scoring": score, "cv": 2})
        for score in SCORES.split()
    ],
]


def model(estimator: str, table: Table, seed: int = 0, /, **params: Any) -> Any:
    """Return the unfitted model of a config with these parameters."""
    spec = parse_spec("a", {"estimator": estimator, "params": params}, "a.yaml")
    return build(spec, table.kinds, table.features.dtypes.to_dict(), seed)
