"""A version as it is served: two files in a folder, loaded, and checked before it answers."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from ratchet.columns import Column, from_json, signature_columns
from ratchet.model import model_file
from ratchet.predictions.record import json_text
from ratchet.serving.direct import Direct, Rows
from ratchet.serving.estimators import NoDirectPathError, Scores
from ratchet.serving.features import Class, Inputs, parse_date

if TYPE_CHECKING:
    import pandas as pd

CARD = "served.json"
CHECKED_ROWS = 200
SEED = 7


@dataclass(frozen=True)
class Card:
    """The facts that serving needs of a version besides the model itself."""

    model: str
    version: str
    config: str
    columns: tuple[Column, ...]
    example: tuple[tuple[Any, ...], ...]  # rows of the training data, as JSON holds them


class Interface(NamedTuple):
    """The requests that a version can answer, and the classes it can answer with."""

    columns: tuple[Column, ...]
    classes: tuple[Class, ...]


Answer = tuple[str, str | None]  # as JSON: the prediction, and class -> probability
encode = msgspec.json.Encoder().encode


def copy_from_mlflow(source: Path, model: str, version: str, config: str, into: Path) -> None:
    """Copy from an MLflow model what serving needs. The same version gives the same bytes."""
    import yaml

    columns = signature_columns(yaml.safe_load((source / "MLmodel").read_text()))
    example = json.loads((source / "input_example.json").read_text())
    places = {column: example["columns"].index(column.name) for column in columns}
    rows = tuple(tuple(_cell(row[i], of) for of, i in places.items()) for row in example["data"])
    into.mkdir(parents=True)
    shutil.copyfile(source / model_file.FILE, into / model_file.FILE)
    card = Card(model, version, config, columns, rows)
    (into / CARD).write_text(json.dumps(asdict(card), indent=1) + "\n")


def _cell(value: Any, column: Column) -> Any:
    """Return None for a missing value: MLflow writes NaN, or NaT as text, and JSON has neither."""
    is_missing = value != value or (column.type == "datetime" and value == "NaT")
    return None if is_missing else value


def read_card(folder: Path) -> Card:
    content = json.loads((folder / CARD).read_text())
    content["columns"] = tuple(Column(*one) for one in content["columns"])
    content["example"] = tuple(map(tuple, content["example"]))
    return Card(**content)


def mismatch(prod: Interface, staging: Interface) -> str | None:
    """Return why prod could not answer for staging, whose requests are checked as prod's are."""
    different = {column.name for column in {*prod.columns} ^ {*staging.columns}}
    if different:
        return f"its features are not those of prod: {', '.join(sorted(different))}"
    if prod.classes != staging.classes:
        ours, theirs = (", ".join(map(str, one.classes)) for one in (staging, prod))
        return f"its classes are not those of prod: {ours} instead of {theirs}"
    return None


class ServedModel:
    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self.version = self.card.version
        self._pipeline = model_file.load(folder)
        _use_one_thread(self._pipeline)
        self._classes = {
            label: json_text(label) for label in np.asarray(self._pipeline.classes_).tolist()
        }
        keys = [k if isinstance(k, str) else json_text(k) for k in self._classes]
        escaped = (json_text(key).replace("%", "%%") for key in keys)
        self._template = f"{{{','.join(f'{key}:%s' for key in escaped)}}}"
        self._names = [column.name for column in self.card.columns]
        self.why_not_faster: str | None = None
        self.direct = self._checked_direct_path()

    @property
    def interface(self) -> Interface:
        return Interface(self.card.columns, tuple(self._classes))

    @property
    def path(self) -> str:
        """Return the name of the scoring path that /status shows."""
        return f"direct, {self.direct.form.name}" if self.direct else "pipeline"

    @property
    def is_quick(self) -> bool:
        """Return whether the event loop can wait for it."""
        return self.direct is not None and self.direct.form.is_quick

    @cached_property
    def inputs(self) -> Inputs:
        return Inputs(*self.interface)

    def answers(self, rows: Rows) -> list[Answer]:
        classes, probabilities = (self.direct or self.by_pipeline)(rows)
        texts = [self._classes[label] for label in classes.tolist()]
        if probabilities is None:
            return [(text, None) for text in texts]
        if not np.isfinite(probabilities).all():
            raise ValueError(f"version {self.version} answered a probability that is not a number")
        numbers = encode(probabilities.ravel().tolist()).decode()[1:-1].split(",")
        by_row = zip(*[iter(numbers)] * len(self._classes), strict=True)
        return list(zip(texts, map(self._template.__mod__, by_row), strict=True))

    def by_pipeline(self, rows: Rows) -> Scores:
        frame = self.frame(rows)
        classes = np.asarray(self._pipeline.predict(frame))
        if not hasattr(self._pipeline, "predict_proba"):
            return classes, None
        return classes, np.asarray(self._pipeline.predict_proba(frame))

    def frame(self, rows: Rows) -> "pd.DataFrame":
        """Return the rows as training saw them."""
        import pandas as pd

        columns = zip(self.card.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({one.name: from_json(cells, one.type) for one, cells in columns})

    def example(self) -> list[tuple[Any, ...]]:
        dates = [column.type == "datetime" for column in self.card.columns]
        return [
            tuple(
                parse_date(cell) if is_date and cell is not None else cell
                for cell, is_date in zip(row, dates, strict=True)
            )
            for row in self.card.example
        ]

    def _checked_direct_path(self) -> Direct | None:
        """Return the direct path if it answers many rows as the pipeline does."""
        example = self.example()
        try:
            direct = Direct(self._pipeline, self._names, example)
            rows = [*example, *self._random_rows(example)]
            if not same(direct(rows), self.by_pipeline(rows)):
                raise NoDirectPathError("its direct path answers differently than its pipeline")
        except Exception as error:  # an estimator may raise anything when it gets bare arrays
            self.why_not_faster = str(error) or type(error).__name__
            return None
        self.why_not_faster = direct.form.why_not_faster
        return direct

    def _random_rows(self, example: Rows) -> list[tuple[Any, ...]]:
        """Return rows with values around those of the example, known categories and gaps."""
        rng = np.random.default_rng(SEED)
        cells = zip(self.card.columns, zip(*example, strict=True), strict=True)
        categories = _categories(self._pipeline)
        columns = [
            _random_cells(
                column,
                [cell for cell in known if cell is not None],
                categories.get(column.name, []),
                rng,
            )
            for column, known in cells
        ]
        return list(zip(*columns, strict=True))


def _use_one_thread(pipeline: Any) -> None:
    """Workers use the cores; a pool of threads in each costs more than one row takes."""
    parameters = pipeline.get_params()
    one = {name: 1 for name in parameters if name.rpartition("__")[2] == "n_jobs"}
    pipeline.set_params(**one)


def _categories(pipeline: Any) -> dict[str, list[Any]]:
    """Return the categories that the preparation knows, by column."""
    by_column: dict[str, list[Any]] = {}
    for _, transformer, columns in getattr(pipeline[0], "transformers_", []):
        encoder = transformer.steps[-1][1] if hasattr(transformer, "steps") else transformer
        for name, known in zip(columns, getattr(encoder, "categories_", []), strict=False):
            by_column[name] = [value for value in np.asarray(known).tolist() if value == value]
    return by_column


def _random_cells(
    column: Column, known: list[Any], categories: list[Any], rng: np.random.Generator
) -> Iterator[Any]:
    """Yield cells of the column's type; one in ten is missing, one in ten was never seen."""
    middle = float(np.mean(known)) if known and column.type == "double" else 0.0
    spread = max(float(np.std(known)) if known and column.type == "double" else 0.0, abs(middle), 1)
    for _ in range(CHECKED_ROWS):
        chance = rng.random()
        if chance < 0.1:
            yield None
        elif column.type == "boolean":
            yield bool(chance < 0.55)
        elif column.type == "datetime":
            base = known[int(rng.integers(len(known)))] if known else parse_date("2020-01-01")
            yield base + timedelta(days=float(rng.normal(0, 1000)))
        elif column.type == "string":
            usual = [*known, *(one for one in categories if isinstance(one, str))]
            yield usual[int(rng.integers(len(usual)))] if usual and chance < 0.9 else "never seen"
        elif categories and chance < 0.9:
            yield float(categories[int(rng.integers(len(categories)))])
        else:
            yield float(rng.normal(middle, (2 if chance < 0.9 else 1000) * spread))


def same(left: Scores, right: Scores) -> bool:
    """Return whether all classes are equal, and probabilities up to the rounding of a sum."""
    if not np.array_equal(left[0], right[0]):
        return False
    if left[1] is None or right[1] is None:
        return left[1] is right[1]
    return np.allclose(left[1], right[1], rtol=1e-9, atol=1e-12)
