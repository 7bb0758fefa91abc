"""What a version answers to the rows of a log."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ratchet.columns import Column, from_text, signature_columns
from ratchet.errors import InputError
from ratchet.registry.registry import Registry


class Rescorer:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, version: str, rows: pd.DataFrame) -> Sequence[Any]:
        import yaml

        from ratchet.model import model_file

        if "features" not in rows or rows["features"].isna().any():
            raise InputError(
                "promotion.method needs both versions' answers to each request, and this log holds"
                " neither shadow answers nor features; set ab.shadow, or promotion.method to ab"
            )
        folder = self._registry.folder(self._registry.version(version))
        described = yaml.safe_load((folder / "MLmodel").read_text())
        frame = _frame(rows["features"], signature_columns(described))
        answers = model_file.load(folder).predict(frame)
        return _as_logged(np.asarray(answers).tolist(), rows["prediction"])


def _frame(features: "pd.Series[Any]", columns: Sequence[Column]) -> pd.DataFrame:
    given = pd.DataFrame(list(features), columns=[column.name for column in columns])
    return pd.DataFrame({name: from_text(given[name], type_) for name, type_ in columns})


def _as_logged(answers: list[Any], logged: "pd.Series[Any]") -> list[Any]:
    as_text = logged.notna().any() and isinstance(logged.dropna().iloc[0], str)
    if not as_text:
        return answers
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in answers]
