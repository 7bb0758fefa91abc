"""Models saved and loaded without pickle: skops, checked against a fixed list of types.

MLflow stores the list that a model was saved with next to the model. Whoever can write the model
can also write that list, so loading trusts only the list in this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import InputError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FILE = "model.skops"

# The types inside the allowed estimators and their preparation that skops does not trust itself.
# A functools.partial is loaded only if the function in it is trusted too. XGBoost and CatBoost keep
# their trees as bytes in a format of their own (UBJSON and cbm), which holds data and no code.
TRUSTED = (
    "catboost.core.CatBoostClassifier",
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.asarray",
    "numpy.dtype",
    "numpy.ravel",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.brier_score_loss",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.jaccard_score",
    "sklearn.metrics._classification.log_loss",
    "sklearn.metrics._classification.matthews_corrcoef",
    "sklearn.metrics._classification.precision_score",
    "sklearn.metrics._classification.recall_score",
    "sklearn.metrics._dist_metrics.BrayCurtisDistance64",
    "sklearn.metrics._dist_metrics.CanberraDistance64",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.DiceDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.HammingDistance64",
    "sklearn.metrics._dist_metrics.JaccardDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._dist_metrics.RogersTanimotoDistance64",
    "sklearn.metrics._dist_metrics.RussellRaoDistance64",
    "sklearn.metrics._dist_metrics.SokalSneathDistance64",
    "sklearn.metrics._ranking.average_precision_score",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.multiclass._ConstantPredictor",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)


def load(folder: Path) -> "Pipeline":
    """Return the model of an MLflow model's folder."""
    import skops.io

    file = folder / FILE
    if not file.exists():
        raise InputError(f"{folder} holds no {FILE}; train it again: mlflow run . -e train")
    unknown = sorted(_types(file) - set(TRUSTED))
    if unknown:
        raise InputError(
            f"{file} holds the type {unknown[0]}, which is not on the list of trusted types; it was"
            " not loaded. If a model of this project needs it, add it to TRUSTED in"
            " ratchet/model/model_file.py"
        )
    return skops.io.load(file, trusted=list(TRUSTED))


def _types(file: Path) -> set[str]:
    import skops.io

    try:
        return set(skops.io.get_untrusted_types(file=file))
    except Exception as error:  # a broken file can make skops raise anything
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{file} is not a model in skops format ({reason}); train it again:"
            " mlflow run . -e train"
        ) from None
