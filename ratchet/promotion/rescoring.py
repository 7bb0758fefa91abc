"""What a version answers to the rows of a log."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

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
        columns = {one["name"]: one["type"] for one in json.loads(described["signature"]["inputs"])}
        answers = model_file.load(folder).predict(_frame(rows["features"], columns))
        return _as_logged(np.asarray(answers).tolist(), rows["prediction"])


def _frame(features: "pd.Series[Any]", columns: dict[str, str]) -> pd.DataFrame:
    """As training saw them: one type a kind. An export holds texts alone."""
    given = pd.DataFrame(list(features), columns=list(columns))
    return pd.DataFrame({name: _typed(given[name], kind) for name, kind in columns.items()})


def _typed(values: "pd.Series[Any]", kind: str) -> "pd.Series[Any]":
    if kind == "double":
        return pd.to_numeric(values).astype("float64")
    if kind == "datetime":
        moments = pd.to_datetime(values, utc=True, format="ISO8601")
        return moments.dt.tz_localize(None).astype("datetime64[us]")
    values = values.astype(object).where(values.notna(), None)
    return (
        values.map({"true": True, "false": False, True: True, False: False})
        if kind == ("boolean")
        else values
    )


def _as_logged(answers: list[Any], logged: "pd.Series[Any]") -> list[Any]:
    as_text = logged.notna().any() and isinstance(logged.dropna().iloc[0], str)
    if not as_text:
        return answers
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in answers]
