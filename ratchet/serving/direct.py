"""A model of this project asked without pandas: the same arithmetic on plain arrays.

For one row, scikit-learn spends a hundred times longer on checks and data frames than on the
arithmetic itself. For a step that is not known here its own `transform` is called. For a model that
is not known there is no direct path, and the pipeline answers. `ServedModel` compares both before
it serves, so the answers are the pipeline's in any case.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ratchet.serving.estimators import NoDirectPathError, Scores, fast_form

Rows = Sequence[tuple[Any, ...]]
Step = Callable[[np.ndarray], np.ndarray]


class Direct:
    """A function from rows, in the order of the columns, to classes and probabilities."""

    def __init__(self, pipeline: Any, names: Sequence[str], example: Rows) -> None:
        steps = dict(pipeline.steps)
        if list(steps) != ["prepare", "model"]:
            raise NoDirectPathError("it is not a preparation and a model")
        prepare = steps["prepare"]
        self._groups = [
            _group(transformer, [names.index(name) for name in columns], len(names))
            for _, transformer, columns in prepare.transformers_
            if len(columns)
        ]
        self.form = fast_form(steps["model"], prepare.sparse_output_, self._prepared(example))

    def __call__(self, rows: Rows) -> Scores:
        return self.form.scores(self._prepared(rows))

    def _prepared(self, rows: Rows) -> np.ndarray:
        blocks = [group(rows) for group in self._groups]
        return blocks[0] if len(blocks) == 1 else np.hstack(blocks)


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
    """Return a function that looks up what the encoder makes of each category.

    The encoder is asked once for each, column by column.
    """
    encoder = transformer.steps[-1][1]
    widths = getattr(encoder, "_n_features_outs", [1] * len(places))
    ends = np.cumsum(widths)
    tables = [
        _table(transformer, len(places), column, slice(end - width, end), dtype)
        for column, (width, end) in enumerate(zip(widths, ends, strict=True))
    ]

    def categories(rows: Rows) -> np.ndarray:
        cells = [
            [
                part
                for i, (table, unknown) in zip(places, tables, strict=True)
                for part in table.get(row[i], unknown)
            ]
            for row in rows
        ]
        return np.array(cells, dtype="float64")

    return categories


def _table(
    transformer: Any, columns: int, column: int, part: slice, dtype: str
) -> tuple[dict[Any, list[float]], list[float]]:
    encoder = transformer.steps[-1][1]
    known = [value for value in encoder.categories_[column].tolist() if value == value]
    unknown = "\0" if dtype == "object" else np.nextafter(max([*known, 0.0]), np.inf)
    values = [*known, None, unknown]
    block = np.empty((len(values), columns), dtype=object)
    for other in range(columns):
        block[:, other] = None
    block[:, column] = values
    done = transformer.transform(block.astype(dtype))
    dense = np.asarray(done.todense() if hasattr(done, "todense") else done, dtype="float64")
    answers = [row[part].tolist() for row in dense]
    return dict(zip(values[:-1], answers[:-1], strict=True)), answers[-1]
