"""The folder of a version that answers: its model and its card, copied from an MLflow model."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ratchet.columns import Column, parse_date, signature_columns
from ratchet.model import model_file

CARD = "served.json"


@dataclass(frozen=True)
class Card:
    """The facts that serving needs of a version besides the model itself."""

    model: str
    version: str
    config: str
    columns: tuple[Column, ...]
    example: tuple[tuple[Any, ...], ...]  # rows of the training data, as JSON holds them

    def example_rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of the example as requests give them: with dates as datetimes."""
        dates = [column.type == "datetime" for column in self.columns]
        return [
            tuple(
                parse_date(cell) if is_date and cell is not None else cell
                for cell, is_date in zip(row, dates, strict=True)
            )
            for row in self.example
        ]


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
