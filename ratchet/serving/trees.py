"""Fitted decision trees as flat arrays: one NumPy call moves all rows down all trees by one level.

scikit-learn spends 10 ms on one row of a forest of 200 trees, nearly all of it in a wrapper per
tree; this takes a tenth of it or less. Values are added tree after tree, as scikit-learn adds them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Proba = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trees:
    """All nodes of all trees, one after the other. The children of a leaf are the leaf itself."""

    roots: np.ndarray  # (trees, 1)
    depth: int
    feature: np.ndarray
    threshold: np.ndarray
    missing_goes_left: np.ndarray | None  # None if no tree has seen a missing value
    children: np.ndarray  # the left child of node i at 2 * i, the right one at 2 * i + 1
    values: np.ndarray  # (nodes, outputs)

    def sums(self, block: np.ndarray) -> np.ndarray:
        """Return for each row the sum of its leaves' values."""
        node = np.repeat(self.roots, len(block), axis=1)  # (trees, rows)
        cells, starts = block.ravel(), np.arange(len(block)) * block.shape[1]
        for _ in range(self.depth):
            cell = cells.take(self.feature.take(node) + starts)
            goes_right = ~(cell <= self.threshold.take(node))
            if self.missing_goes_left is not None:
                goes_right &= ~(np.isnan(cell) & self.missing_goes_left.take(node))
            node = self.children.take(2 * node + goes_right)
        total: np.ndarray = self.values.take(node, axis=0).sum(axis=0)
        return total


def join(trees: Sequence[dict[str, np.ndarray]]) -> Trees:
    """Join trees whose child indices count from their own root."""
    sizes = [len(tree["feature"]) for tree in trees]
    starts = np.cumsum([0, *sizes[:-1]])
    all_of = {key: np.concatenate([tree[key] for tree in trees]) for key in trees[0]}
    own = np.arange(sum(sizes))
    shift = np.repeat(starts, sizes)
    is_leaf = all_of["is_leaf"]
    left = np.where(is_leaf, own, all_of["left"] + shift)
    right = np.where(is_leaf, own, all_of["right"] + shift)
    missing = all_of["missing_goes_left"].astype(bool) & ~is_leaf
    return Trees(
        roots=starts[:, None],
        depth=max(map(_depth, trees)),
        feature=np.where(is_leaf, 0, all_of["feature"]).astype(np.intp),
        threshold=np.where(is_leaf, np.inf, all_of["threshold"]),
        missing_goes_left=missing if missing.any() else None,
        children=np.stack([left, right], axis=1).ravel().astype(np.intp),
        values=np.ascontiguousarray(all_of["values"]),
    )


def _depth(tree: dict[str, np.ndarray]) -> int:
    """Return the length of the longest path. In both libraries a child comes after its parent."""
    depth = np.zeros(len(tree["feature"]), dtype=int)
    for node in np.flatnonzero(~tree["is_leaf"]):
        for side in ("left", "right"):
            depth[tree[side][node]] = depth[node] + 1
    return int(depth.max())


def forest(model: Any) -> Proba:
    """Return predict_proba of a RandomForestClassifier or an ExtraTreesClassifier."""
    trees = join([_of_sklearn(tree.tree_, 1.0) for tree in model.estimators_])
    count = len(model.estimators_)

    def probabilities(block: np.ndarray) -> np.ndarray:
        return trees.sums(block.astype(np.float32)) / count

    return probabilities


def forest_by_tree(model: Any) -> Proba:
    """Return the same for many rows at once: scikit-learn's trees without its wrapper."""
    trees = [tree.tree_ for tree in model.estimators_]

    def probabilities(block: np.ndarray) -> np.ndarray:
        cells = np.ascontiguousarray(block, dtype=np.float32)
        total = np.zeros((len(cells), len(model.classes_)))
        for tree in trees:
            total += tree.predict(cells)
        return total / len(trees)

    return probabilities


def gradient_boosting(model: Any) -> Proba:
    """Return predict_proba of a GradientBoostingClassifier that starts from a constant."""
    if type(model.init_).__name__ != "DummyClassifier":
        raise ValueError("it starts from another model")
    stages, outputs = model.estimators_.shape
    trees = [
        _of_sklearn(model.estimators_[stage, output].tree_, model.learning_rate, output, outputs)
        for stage in range(stages)
        for output in range(outputs)
    ]
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_)))
    return _boosted(join(trees), start, model._loss.predict_proba, np.float32)


def hist_gradient_boosting(model: Any) -> Proba:
    """Return predict_proba of a HistGradientBoostingClassifier without categorical splits."""
    if model._preprocessor is not None:
        raise ValueError("it reorders its columns")
    outputs = model.n_trees_per_iteration_
    trees = []
    for stage in model._predictors:
        for output, predictor in enumerate(stage):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise ValueError("it splits by category")
            trees.append(
                {
                    "feature": nodes["feature_idx"].astype(np.intp),
                    "threshold": nodes["num_threshold"],
                    "left": nodes["left"].astype(np.intp),
                    "right": nodes["right"].astype(np.intp),
                    "is_leaf": nodes["is_leaf"].astype(bool),
                    "missing_goes_left": nodes["missing_go_to_left"],
                    "values": _in_column(nodes["value"], output, outputs),
                }
            )
    return _boosted(join(trees), model._baseline_prediction, model._loss.predict_proba, np.float64)


def _boosted(trees: Trees, start: np.ndarray, link: Proba, dtype: Any) -> Proba:
    def probabilities(block: np.ndarray) -> np.ndarray:
        return link(trees.sums(block.astype(dtype)) + start)

    return probabilities


def _of_sklearn(
    tree: Any, scale: float, output: int = 0, outputs: int = 0
) -> dict[str, np.ndarray]:
    values = tree.value[:, 0, :] * scale
    return {
        "feature": tree.feature,
        "threshold": tree.threshold,
        "left": tree.children_left,
        "right": tree.children_right,
        "is_leaf": tree.children_left == -1,
        "missing_goes_left": tree.missing_go_to_left,
        "values": _in_column(values[:, 0], output, outputs) if outputs else values,
    }


def _in_column(values: np.ndarray, output: int, outputs: int) -> np.ndarray:
    block = np.zeros((len(values), outputs))
    block[:, output] = values
    return block
