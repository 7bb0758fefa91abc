"""A version as it is served: two files in a folder, loaded, and checked before it answers."""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from ratchet.columns import Column
from ratchet.predictions.record import json_text
from ratchet.serving.checked_model import CheckedModel
from ratchet.serving.direct import Rows
from ratchet.serving.features import Class, Inputs


class Interface(NamedTuple):
    """The requests that a version can answer, and the classes it can answer with."""

    columns: tuple[Column, ...]
    classes: tuple[Class, ...]


Answer = tuple[str, str | None]  # as JSON: the prediction, and class -> probability
encode = msgspec.json.Encoder().encode


def mismatch(prod: Interface, staging: Interface) -> str | None:
    """Return why prod could not answer for staging, whose requests are checked as prod's are."""
    different = {column.name for column in {*prod.columns} ^ {*staging.columns}}
    if different:
        return f"its features are not those of prod: {', '.join(sorted(different))}"
    if prod.classes != staging.classes:
        ours, theirs = (", ".join(map(str, one.classes)) for one in (staging, prod))
        return f"its classes are not those of prod: {ours} instead of {theirs}"
    return None


class ServedModel(CheckedModel):
    """A checked model with its answers as the JSON texts that the log stores."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._classes = {label: json_text(label) for label in self.classes}
        keys = [k if isinstance(k, str) else json_text(k) for k in self._classes]
        escaped = (json_text(key).replace("%", "%%") for key in keys)
        self._template = f"{{{','.join(f'{key}:%s' for key in escaped)}}}"

    @property
    def interface(self) -> Interface:
        return Interface(self.card.columns, tuple(self._classes))

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

    def example(self) -> list[tuple[Any, ...]]:
        return self.card.example_rows()
