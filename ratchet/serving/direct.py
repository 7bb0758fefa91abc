"""A model of this project asked without pandas: the same arithmetic on plain arrays.

For one row, scikit-learn spends a hundred times longer on checking and on data frames than on the
sum itself. Where a step is not known here its own `transform` is called; where a whole model is
not, there is no direct path, and the pipeline answers. Either way the answers are the pipeline's:
`ServedModel` compares the two before it serves.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

Rows = Sequence[tuple[Any, ...]]
Step = Callable[[np.ndarray], np.ndarray]
Scores = tuple[np.ndarray, np.ndarray | None]  # classes, and probabilities in their order


class Direct:
    """Rows of values in the order of the columns -> classes and probabilities."""

    def __init__(self, pipeline: Any, names: Sequence[str]) -> None:
        steps = dict(pipeline.steps)
        if list(steps) != ["prepare", "model"]:
            raise NoDirectPathError("not a preparation and a model")
        prepare = steps["prepare"]
        self._groups = [
            _group(transformer, [names.index(name) for name in columns], len(names))
            for _, transformer, columns in prepare.transformers_
            if len(columns)
        ]
        self.instant, self._model = _model(steps["model"], sparse=prepare.sparse_output_)

    def __call__(self, rows: Rows) -> Scores:
        blocks = [group(rows) for group in self._groups]
        return self._model(blocks[0] if len(blocks) == 1 else np.hstack(blocks))


class NoDirectPathError(Exception):
    pass


def _group(transformer: Any, places: list[int], width: int) -> Callable[[Rows], np.ndarray]:
    first, *rest = [step for _, step in transformer.steps]
    dtype = first.kw_args["dtype"]
    if dtype == "object" or (rest and type(rest[-1]).__name__.endswith("Encoder")):
        return _looked_up(transformer, places, dtype)
    steps = [_step(step) for step in rest]
    everything = places == list(range(width))

    def numbers(rows: Rows) -> np.ndarray:
        chosen = rows if everything else [[row[i] for i in places] for row in rows]
        block = np.array(chosen, dtype=dtype)
        for step in steps:
            block = step(block)
        return block

    return numbers


def _step(step: Any) -> Step:
    match type(step).__name__:
        case "FunctionTransformer":
            dtype = step.kw_args["dtype"]
            return lambda block: np.asarray(block, dtype=dtype)
        case "SimpleImputer" if not np.isnan(step.statistics_).any():
            fill, missing = step.statistics_, step.missing_values
            if np.isnan(missing):
                return lambda block: np.where(np.isnan(block), fill, block)
            return lambda block: np.where(block == missing, fill, block)
        case "StandardScaler" if step.with_mean and step.with_std:
            mean, scale = step.mean_, step.scale_
            return lambda block: (block - mean) / scale
        case _:
            transform: Step = step.transform
            return transform


def _looked_up(transformer: Any, places: list[int], dtype: str) -> Callable[[Rows], np.ndarray]:
    """Categories: what each becomes, asked of the encoder once, column by column."""
    encoder = transformer.steps[-1][1]
    widths = getattr(encoder, "_n_features_outs", [1] * len(places))
    ends = np.cumsum(widths)
    tables = [
        _table(transformer, len(places), column, slice(end - width, end), dtype)
        for column, (width, end) in enumerate(zip(widths, ends, strict=True))
    ]

    def categories(rows: Rows) -> np.ndarray:
        cells = [
            [part for i, (table, unknown) in zip(places, tables, strict=True)
             for part in table.get(row[i], unknown)]
            for row in rows
        ]  # fmt: skip
        return np.array(cells, dtype="float64")

    return categories


def _table(
    transformer: Any, columns: int, column: int, part: slice, dtype: str
) -> tuple[dict[Any, list[float]], list[float]]:
    encoder = transformer.steps[-1][1]
    known = [value for value in encoder.categories_[column].tolist() if value == value]
    unknown = "\0" if dtype == "object" else np.nextafter(max([*known, 0.0]), np.inf)
    asked = [*known, None, unknown]
    block = np.empty((len(asked), columns), dtype=object)
    for other in range(columns):
        block[:, other] = None
    block[:, column] = asked
    done = transformer.transform(block.astype(dtype))
    dense = np.asarray(done.todense() if hasattr(done, "todense") else done, dtype="float64")
    answers = [row[part].tolist() for row in dense]
    return dict(zip(asked[:-1], answers[:-1], strict=True)), answers[-1]


def _model(model: Any, sparse: bool) -> tuple[bool, Callable[[np.ndarray], Scores]]:
    """And whether its time is so short and so even that an event loop can wait for it."""
    classes = model.classes_
    if type(model).__name__ == "LogisticRegression":
        return True, _logistic(model)
    if sparse:
        raise NoDirectPathError("learnt from a sparse matrix")
    if type(model).__name__ in ("RandomForestClassifier", "ExtraTreesClassifier"):
        # Their `predict` is this, and asks every tree once more.
        def likeliest(block: np.ndarray) -> Scores:
            probabilities = model.predict_proba(block)
            return classes[probabilities.argmax(axis=1)], probabilities

        return False, likeliest
    if hasattr(model, "predict_proba"):
        return False, lambda block: (model.predict(block), model.predict_proba(block))
    return False, lambda block: (model.predict(block), None)


def _logistic(model: Any) -> Callable[[np.ndarray], Scores]:
    weights, intercept, classes = model.coef_.T, model.intercept_, model.classes_

    def binary(block: np.ndarray) -> Scores:
        decision = (block @ weights + intercept).ravel()
        second = expit(decision)
        return classes[(decision > 0).astype(int)], np.stack([1 - second, second], axis=1)

    def several(block: np.ndarray) -> Scores:
        decision = block @ weights + intercept
        return classes[decision.argmax(axis=1)], softmax(decision, axis=1)

    return binary if len(classes) == 2 else several
