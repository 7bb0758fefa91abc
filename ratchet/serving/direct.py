"""A model of this project asked without pandas: the same arithmetic on plain arrays.

For one row, scikit-learn spends a hundred times longer on checks and data frames than on the
arithmetic itself. For a step that is not known here its own `transform` is called. For a model that
is not known there is no direct path, and the pipeline answers. `ServedModel` compares both before
it serves, so the answers are the pipeline's in any case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ratchet.serving.estimators import NoDirectPathError, Scores, fast_form, same
from ratchet.serving.thresholds import rows_near_thresholds

if TYPE_CHECKING:
    import pyarrow

    Columns = Sequence[pyarrow.Array]

Rows = Sequence[tuple[Any, ...]]
ROWS_ALONE = 30  # compared one by one too, because a form may be another one for a single row
Step = Callable[[np.ndarray], np.ndarray]
Table = tuple[dict[Any, list[float]], list[float]]  # a category's cells; those of any other one


class Group(Protocol):
    """The preparation of some columns, for rows of a request and for whole columns of a file."""

    def of_rows(self, rows: Rows) -> np.ndarray: ...

    def of_columns(self, columns: "Columns") -> np.ndarray: ...


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
        prepared = self._prepared(example)
        self.form = fast_form(steps["model"], prepare.sparse_output_, prepared)
        self._near = rows_near_thresholds(steps["model"], prepared)
        self._estimator = steps["model"]

    def __call__(self, rows: Rows) -> Scores:
        return self.form.scores(self._prepared(rows))

    def agrees_near_thresholds(self) -> bool:
        """Return whether form and estimator agree next to the thresholds of the trees."""
        if self._near is None:
            return True
        near = self._near
        classes, probabilities = self._estimator.predict(near), self._estimator.predict_proba(near)
        parts = [slice(None), *(slice(row, row + 1) for row in range(min(ROWS_ALONE, len(near))))]
        return all(
            same(self.form.scores(near[part]), (classes[part], probabilities[part]))
            for part in parts
        )

    def of_columns(self, columns: "Columns") -> Scores:
        """Score many rows at once, always by the same form: the time decides nothing here."""
        blocks = [group.of_columns(columns) for group in self._groups]
        return self.form.scores_of_many(_joined(blocks))

    def _prepared(self, rows: Rows) -> np.ndarray:
        return _joined([group.of_rows(rows) for group in self._groups])


def _joined(blocks: Sequence[np.ndarray]) -> np.ndarray:
    return blocks[0] if len(blocks) == 1 else np.hstack(blocks)


def _group(transformer: Any, places: list[int], width: int) -> Group:
    first, *rest = [step for _, step in transformer.steps]
    dtype = first.kw_args["dtype"]
    if dtype == "object" or (rest and type(rest[-1]).__name__.endswith("Encoder")):
        return Categories(places, _tables(transformer, len(places), dtype))
    return Numbers(places, places == list(range(width)), dtype, [_step(step) for step in rest])


@dataclass(frozen=True)
class Numbers:
    """Numbers, booleans or dates, and the steps that fill and scale them."""

    places: Sequence[int]
    is_everything: bool
    dtype: str
    steps: Sequence[Step]

    def of_rows(self, rows: Rows) -> np.ndarray:
        chosen = rows if self.is_everything else [[row[i] for i in self.places] for row in rows]
        return self._prepared(np.array(chosen, dtype=self.dtype))

    def of_columns(self, columns: "Columns") -> np.ndarray:
        block = np.empty((len(columns[0]), len(self.places)), dtype=self.dtype)
        for position, place in enumerate(self.places):
            column = columns[place].cast("float64") if self.dtype == "float64" else columns[place]
            block[:, position] = column.to_numpy(zero_copy_only=False)
        return self._prepared(block)

    def _prepared(self, block: np.ndarray) -> np.ndarray:
        for step in self.steps:
            block = step(block)
        return block


@dataclass(frozen=True)
class Categories:
    """Categories, by a table per column that holds what the encoder makes of each category."""

    places: Sequence[int]
    tables: Sequence[Table]

    def of_rows(self, rows: Rows) -> np.ndarray:
        cells = [
            [
                part
                for i, (table, unknown) in zip(self.places, self.tables, strict=True)
                for part in table.get(row[i], unknown)
            ]
            for row in rows
        ]
        return np.array(cells, dtype="float64")

    def of_columns(self, columns: "Columns") -> np.ndarray:
        blocks = []
        for place, (table, unknown) in zip(self.places, self.tables, strict=True):
            coded = columns[place].dictionary_encode(null_encoding="encode")
            values = [None if value != value else value for value in coded.dictionary.to_pylist()]
            cells = [table.get(value, unknown) for value in values]
            blocks.append(np.array(cells, dtype="float64")[coded.indices.to_numpy()])
        return np.hstack(blocks)


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


def _tables(transformer: Any, columns: int, dtype: str) -> list[Table]:
    """Ask the encoder once for each category, column by column."""
    encoder = transformer.steps[-1][1]
    widths = getattr(encoder, "_n_features_outs", [1] * columns)
    ends = np.cumsum(widths)
    return [
        _table(transformer, columns, column, slice(end - width, end), dtype)
        for column, (width, end) in enumerate(zip(widths, ends, strict=True))
    ]


def _table(transformer: Any, columns: int, column: int, part: slice, dtype: str) -> Table:
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
