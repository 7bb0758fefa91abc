"""Prepared rows next to the thresholds of a fitted forest, where a wrong comparison would show."""

from typing import Any

import numpy as np

MOST = 300
SEED = 7
EXTREMES = (-3.4e38, 0.0, 3.4e38)


def rows_near_thresholds(model: Any, example: np.ndarray) -> np.ndarray | None:
    """Return rows with one value just below, at and just above a threshold, and extreme rows.

    Return None for an estimator that is no forest of scikit-learn: the others compare by
    themselves.
    """
    splits = _splits(model)
    if splits is None or not len(splits[0]):
        return None
    features, thresholds = splits
    chosen = np.random.default_rng(SEED).permutation(len(features))[:MOST]
    values = thresholds[chosen]
    sides = [np.nextafter(values, -np.inf), values, np.nextafter(values, np.inf)]
    rows = np.resize(example, (3 * len(chosen), example.shape[1])).astype("float64")
    rows[np.arange(len(rows)), np.repeat(features[chosen], 3)] = np.stack(sides, axis=1).ravel()
    extremes = [np.full(example.shape[1], extreme) for extreme in EXTREMES]
    return np.vstack([rows, *extremes])


def _splits(model: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the feature and the threshold of each split, in the type that the model compares."""
    if hasattr(model, "_predictors"):
        nodes = [tree.nodes for stage in model._predictors for tree in stage]
        inner = [one[one["is_leaf"] == 0] for one in nodes]
        features = np.concatenate([one["feature_idx"] for one in inner]).astype(int)
        return features, np.concatenate([one["num_threshold"] for one in inner])
    trees = [model] if hasattr(model, "tree_") else np.ravel(getattr(model, "estimators_", []))
    if not len(trees) or not all(hasattr(one, "tree_") for one in trees):
        return None
    fitted = [one.tree_ for one in trees]
    inner = [one.children_left != -1 for one in fitted]
    pairs = list(zip(fitted, inner, strict=True))
    features = np.concatenate([one.feature[splits] for one, splits in pairs])
    thresholds = np.concatenate([one.threshold[splits] for one, splits in pairs])
    return features, thresholds.astype(np.float32)
