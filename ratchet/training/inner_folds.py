"""Folds inside an estimator (calibration, thresholds, stacking) that follow the data's split."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ratchet.data.folds import covering_folds, folds
from ratchet.data.split import Split
from ratchet.errors import InputError

DEFAULT_FOLDS = 5  # scikit-learn's, if a config sets no `cv`


@contextmanager
def following_the_split(model: Any, split: Split, seed: int) -> Iterator[None]:
    """Give the model's cross-validation the split's folds while it is fitted.

    The folds are positions in the training rows, so a stored model keeps their number only.
    """
    if split.rule.by == "random":
        yield
        return
    for one in cross_validated(model):
        count = one.cv if isinstance(one.cv, int) else DEFAULT_FOLDS
        one.cv = (covering_folds if predicts_every_row(one) else folds)(split, count, seed)
    yield
    for one in cross_validated(model):
        one.cv = len(one.cv)


def cross_validated(model: Any) -> Iterator[Any]:
    """Yield the estimators with folds of their own that are fitted on all training rows."""
    if hasattr(model, "steps"):
        yield from cross_validated(model.steps[-1][1])
    elif type(model).__name__ == "VotingClassifier":
        for _, member in model.estimators:
            yield from cross_validated(member)
        for member in getattr(model, "estimators_", []):
            yield from cross_validated(member)
    else:
        _require_no_inner_folds(model)
        if getattr(model, "cv", "prefit") != "prefit":
            yield model


def _require_no_inner_folds(model: Any) -> None:
    """Raise InputError for folds within another estimator, which gets other rows than the split."""
    inner = [name for name in model.get_params() if name.endswith("__cv")]
    if inner:
        name = inner[0].removesuffix("__cv")
        raise InputError(
            f"'{name}' of {type(model).__name__} chooses its folds at random, but data.split is not"
            " random. Use such an estimator only as the outermost one"
        )


def predicts_every_row(model: Any) -> bool:
    is_stack = type(model).__name__ == "StackingClassifier"
    return is_stack or getattr(model, "ensemble", None) is False
