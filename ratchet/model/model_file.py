"""A model saved and loaded without pickle: skops, against a fixed list of types.

MLflow stores the list that a model was saved with beside the model; whoever can write the model can
write that list too. So loading here goes by the list in this file alone.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import InputError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FILE = "model.skops"

# What the allowed estimators and their preparation are made of, beyond what skops trusts itself.
# A functools.partial is loaded only where the function in it is trusted too.
TRUSTED = (
    "collections.OrderedDict",
    "functools.partial",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.asarray",
    "numpy.dtype",
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
)


def load(folder: Path) -> "Pipeline":
    """The model in an MLflow model's folder."""
    import skops.io

    file = folder / FILE
    if not file.exists():
        raise InputError(f"{folder} holds no {FILE}; train it again: mlflow run . -e train")
    unknown = sorted(_types(file) - set(TRUSTED))
    if unknown:
        raise InputError(
            f"{file} holds the type {unknown[0]}, which no model of this project is made of;"
            " it was not loaded. If it belongs there, add it to TRUSTED in"
            " ratchet/model/model_file.py"
        )
    return skops.io.load(file, trusted=list(TRUSTED))


def _types(file: Path) -> set[str]:
    import skops.io

    try:
        return set(skops.io.get_untrusted_types(file=file))
    except Exception as error:  # whatever a broken file makes of the reader
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{file} is no model in skops format ({reason}); train it again: mlflow run . -e train"
        ) from None
