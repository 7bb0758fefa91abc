"""Does the project's model answer like the one that PyCaret finalised?"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def rows_between(
    features: pd.DataFrame, codes: np.ndarray, seed: int, most: int = 1000
) -> pd.DataFrame:
    """Rows that neither model has seen: each column taken from one of two rows of a class.

    On rows they have learnt by heart two models agree, whatever they are; and the holdout is the
    gate's alone.
    """
    rng = np.random.default_rng(seed)
    first = rng.permutation(len(codes))[:most]
    second = np.array([rng.choice(np.flatnonzero(codes == code)) for code in codes[first]])
    mixed = {}
    for name, column in features.items():
        rows = np.where(rng.random(len(first)) < 0.5, first, second)
        mixed[name] = column.take(rows).reset_index(drop=True)
    return pd.DataFrame(mixed)


def agreement(
    model: "Pipeline", sample: pd.DataFrame, predictions: Path, classes: np.ndarray
) -> float:
    """The share of the sample that both call the same."""
    theirs = classes[pd.read_parquet(predictions)["label"].to_numpy()]
    return float((np.asarray(model.predict(sample)) == theirs).mean())
