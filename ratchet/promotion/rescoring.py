"""Answers of a version to logged requests, by the code that serves it."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from ratchet.columns import Column, from_text
from ratchet.errors import InputError
from ratchet.registry.registry import Registry
from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.served_model import ServedModel


class Rescorer:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, version: str, rows: pd.DataFrame) -> Sequence[Any]:
        answers = [json.loads(prediction) for prediction, _ in self._answers(version, rows)]
        return _as_logged(answers, rows["prediction"])

    def confidence(self, version: str, rows: pd.DataFrame) -> "pd.Series[Any] | None":
        """Return the largest probability of each row; None if the version gives none."""
        probabilities = [text for _, text in self._answers(version, rows) if text]
        if len(probabilities) < len(rows):
            return None
        largest = [max(json.loads(text).values()) for text in probabilities]
        return pd.Series(largest, index=rows.index, dtype=float)

    def _answers(self, version: str, rows: pd.DataFrame) -> Sequence[tuple[str, str | None]]:
        if "features" not in rows or rows["features"].isna().any():
            raise InputError(
                "promotion.method needs both versions' answers to each request, and this log holds"
                " neither shadow answers nor features; set ab.shadow, or promotion.method to ab"
            )
        model = self._served(version)
        return model.answers(feature_rows(rows["features"], model.card.columns))

    def _served(self, version: str) -> ServedModel:
        folder = self._registry.folder(self._registry.version(version))
        with TemporaryDirectory() as copy:
            served_folder = Path(copy) / version
            copy_from_mlflow(folder, self._registry.model, version, "", served_folder)
            return ServedModel(served_folder)


def feature_rows(features: "pd.Series[Any]", columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    """Return the rows as the service passes them to a model: missing values are None."""
    frame = pd.DataFrame(list(features), columns=[column.name for column in columns])
    typed = [from_text(frame[name], type_) for name, type_ in columns]
    cells = [
        [None if is_missing else value for value, is_missing in zip(values, missing, strict=True)]
        for values, missing in ((_plain(column), column.isna()) for column in typed)
    ]
    return list(zip(*cells, strict=True))


def _plain(column: "pd.Series[Any]") -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return [value.to_pydatetime() for value in column]
    return column.tolist()


def _as_logged(answers: list[Any], logged: "pd.Series[Any]") -> list[Any]:
    """Return the answers as text if the log holds text, as an export does."""
    as_text = logged.notna().any() and isinstance(logged.dropna().iloc[0], str)
    if not as_text:
        return answers
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in answers]
