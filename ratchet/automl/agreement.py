"""The agreement of PyCaret's model and the model that this project trains from its config.

It is the share of a sample of rows for which both models predict the same class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ratchet.data.folds import Fold
from ratchet.data.split import Split

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def sample_of(split: Split, folds: Sequence[Fold] | None, seed: int) -> pd.DataFrame:
    """Return the sample for which both models predict: rows mixed from training rows.

    If the project splits by time or group, only the test rows of the last fold are mixed.
    """
    features, target = split.train
    codes = split.table.classes.searchsorted(target)
    if folds is not None:
        rows = folds[-1][1]
        features, codes = features.iloc[rows].reset_index(drop=True), codes[rows]
    return mixed_rows(features, codes, seed)


def mixed_rows(
    features: pd.DataFrame, codes: np.ndarray, seed: int, most: int = 1000
) -> pd.DataFrame:
    """Return a sample of rows that neither model has seen.

    Each row is mixed from two training rows of the same class: each value is taken from one of the
    two at random. Training rows themselves are of no use, because models can memorise them. Holdout
    rows are not used, because only the gate may look at them.
    """
    rng = np.random.default_rng(seed)
    first = rng.permutation(len(codes))[:most]
    second = np.array([rng.choice(np.flatnonzero(codes == code)) for code in codes[first]])
    columns = {}
    for name, column in features.items():
        rows = np.where(rng.random(len(first)) < 0.5, first, second)
        columns[name] = column.take(rows).reset_index(drop=True)
    return pd.DataFrame(columns)


def agreement(
    model: "Pipeline", sample: pd.DataFrame, predictions: Path, classes: np.ndarray
) -> float:
    """Return the share of the sample for which the model predicts the same class as PyCaret's.

    The Parquet file `predictions` has the class codes that PyCaret's model predicted.
    """
    pycarets = classes[pd.read_parquet(predictions)["label"].to_numpy()]
    return float((np.asarray(model.predict(sample)) == pycarets).mean())
