"""The agreement of two models: the share of a sample for which both predict the same class."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def mixed_rows(
    features: pd.DataFrame, codes: np.ndarray, seed: int, most: int = 1000
) -> pd.DataFrame:
    """Return rows that are new to both models: each value comes from one of two rows of a class.

    Models agree on rows they have memorised, so training rows would show nothing. The holdout
    belongs to the gate.
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
    """Compare the model with the class codes in a Parquet file, which PyCaret's model predicted."""
    pycarets = classes[pd.read_parquet(predictions)["label"].to_numpy()]
    return float((np.asarray(model.predict(sample)) == pycarets).mean())
