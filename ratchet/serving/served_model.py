"""A version as it is served: two files in a folder, loaded, and checked before it answers."""

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ratchet.columns import Column, from_json, signature_columns
from ratchet.model import model_file
from ratchet.predictions.record import json_text
from ratchet.serving.direct import Direct, Rows, Scores
from ratchet.serving.features import Inputs, instant

if TYPE_CHECKING:
    import pandas as pd

CARD = "served.json"


@dataclass(frozen=True)
class Card:
    """What serving needs to know of a version besides the model itself."""

    model: str
    version: str
    config: str
    columns: tuple[Column, ...]
    example: tuple[tuple[Any, ...], ...]  # rows of the training data, as JSON holds them


Answer = tuple[str, str | None]  # as JSON: the prediction, and class -> probability
encode = msgspec.json.Encoder().encode


def copy_from_mlflow(source: Path, model: str, version: str, config: str, into: Path) -> None:
    """Of an MLflow model, what serving needs. The same version gives the same bytes."""
    import yaml

    described = yaml.safe_load((source / "MLmodel").read_text())
    columns = signature_columns(described)
    example = json.loads((source / "input_example.json").read_text())
    places = {column: example["columns"].index(column.name) for column in columns}
    rows = tuple(tuple(_cell(row[i], of) for of, i in places.items()) for row in example["data"])
    into.mkdir(parents=True)
    shutil.copyfile(source / model_file.FILE, into / model_file.FILE)
    card = Card(model, version, config, columns, rows)
    (into / CARD).write_text(json.dumps(asdict(card), indent=1) + "\n")


def _cell(value: Any, column: Column) -> Any:
    """MLflow writes a missing date as text."""
    return None if column.type == "datetime" and value == "NaT" else value


def read_card(folder: Path) -> Card:
    content = json.loads((folder / CARD).read_text())
    content["columns"] = tuple(Column(*one) for one in content["columns"])
    content["example"] = tuple(map(tuple, content["example"]))
    return Card(**content)


class ServedModel:
    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self.version = self.card.version
        self._pipeline = model_file.load(folder)
        self._classes = {
            label: json_text(label) for label in np.asarray(self._pipeline.classes_).tolist()
        }
        keys = [k if isinstance(k, str) else json_text(k) for k in self._classes]
        escaped = (json_text(key).replace("%", "%%") for key in keys)
        self._named = f"{{{','.join(f'{key}:%s' for key in escaped)}}}"
        self._names = [column.name for column in self.card.columns]
        self.class_type = type(next(iter(self._classes)))
        self.direct = self._checked_direct_path()

    @property
    def instant(self) -> bool:
        """Whether an event loop can wait for it."""
        return self.direct is not None and self.direct.instant

    @cached_property
    def inputs(self) -> Inputs:
        return Inputs(self.card.columns, self.class_type)

    def answers(self, rows: Rows) -> list[Answer]:
        classes, probabilities = (self.direct or self.by_pipeline)(rows)
        texts = [self._classes[label] for label in classes.tolist()]
        if probabilities is None:
            return [(text, None) for text in texts]
        if not np.isfinite(probabilities).all():
            raise ValueError(f"version {self.version} answered a probability that is no number")
        numbers = encode(probabilities.ravel().tolist()).decode()[1:-1].split(",")
        by_row = zip(*[iter(numbers)] * len(self._classes), strict=True)
        return list(zip(texts, map(self._named.__mod__, by_row), strict=True))

    def by_pipeline(self, rows: Rows) -> Scores:
        frame = self.frame(rows)
        classes = np.asarray(self._pipeline.predict(frame))
        if not hasattr(self._pipeline, "predict_proba"):
            return classes, None
        return classes, np.asarray(self._pipeline.predict_proba(frame))

    def frame(self, rows: Rows) -> "pd.DataFrame":
        """As training saw them: one type a kind."""
        import pandas as pd

        columns = zip(self.card.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({one.name: from_json(cells, one.type) for one, cells in columns})

    def example(self) -> list[tuple[Any, ...]]:
        dates = [column.type == "datetime" for column in self.card.columns]
        return [
            tuple(
                instant(cell) if is_date and cell is not None else cell
                for cell, is_date in zip(row, dates, strict=True)
            )
            for row in self.card.example
        ]

    def _checked_direct_path(self) -> Direct | None:
        """Where there is one, and it answers the example as the pipeline does."""
        rows = self.example()
        expected = self.by_pipeline(rows)
        try:
            direct = Direct(self._pipeline, self._names)
            return direct if same(direct(rows), expected) else None
        except Exception:  # whatever an estimator makes of bare arrays: its pipeline answers
            return None


def same(left: Scores, right: Scores) -> bool:
    """Equal classes, and probabilities to the last digits: a sum may run in another order."""
    if not np.array_equal(left[0], right[0]):
        return False
    if left[1] is None or right[1] is None:
        return left[1] is right[1]
    return np.allclose(left[1], right[1], rtol=1e-9, atol=1e-12)
