"""The one way to read a prediction log: a source, a window of its requests, and some columns.

    rows = read_log(log_url(), Window(prod_version="3", staging_version="4")).frame

A source is the address of a database, a CSV or Parquet export, or the address of a service.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Boolean, Double

from ratchet.predictions import exports
from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Assumed, Window

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NUMPY_TYPES: dict[type, type] = {Double: float, Boolean: bool}

DEFAULT_COLUMNS = (
    "request_id",
    "time",
    "user_id",
    "arm",
    "assigned_arm",
    "split",
    "prediction",
    "label",
    "label_time",
    "latency_ms",
    "error",
    "fallback",
)
JSON_COLUMNS = (
    "features",
    "prediction",
    "probabilities",
    "label",
    "shadow_prediction",
    "shadow_probabilities",
)


class LogRows(NamedTuple):
    frame: "pd.DataFrame"
    known_until: float  # labels that came later may be missing


def read_log(
    source: str,
    window: Window | None = None,
    columns: Sequence[str] = DEFAULT_COLUMNS,
    assumed: Assumed | None = None,
) -> LogRows:
    """Read a window, sorted by request.

    Predictions and labels are values ("setosa", True, 3, None) if the source is a database, and
    text if it is an export.
    """
    window = window or Window()
    if source.startswith(("http://", "https://")):
        return LogRows(*exports.read_service(source, window, columns, assumed))
    if "://" in source:
        return _read_database(source, window, columns)
    return LogRows(*exports.read_file(source, window, columns, assumed))


def _read_database(url: str, window: Window, columns: Sequence[str]) -> LogRows:
    import pandas as pd

    known_until = time()
    with open_log(url) as engine:
        arrays = _arrays(pages(engine, window, columns), columns)
    # With a dtype, because pandas would make floats of 1 and None, and copy every text.
    series = {name: pd.Series(a, dtype=a.dtype, copy=False) for name, a in arrays.items()}
    return LogRows(pd.DataFrame(series, copy=False), known_until)


def _arrays(read_pages: Iterator[list[Any]], columns: Sequence[str]) -> "dict[str, np.ndarray]":
    """Make an array per column of each page: a million tuples would slow Python's collector."""
    import numpy as np

    readers = [_reader(name) for name in columns]
    parts: list[list[np.ndarray]] = [[reader(())] for reader in readers]
    for page in read_pages:
        for part, values, reader in zip(parts, zip(*page, strict=True), readers, strict=False):
            part.append(reader(values))
    parts.reverse()  # so that each column's parts are freed when it is joined
    return {name: np.concatenate(parts.pop()) for name in columns}


def _reader(column: str) -> "Callable[[Sequence[Any]], np.ndarray]":
    """Return the function that makes an array of a column's values."""
    import numpy as np

    kind = NUMPY_TYPES.get(type(predictions.c[column].type), object)
    if kind is not object or column == "request_id":
        return partial(np.array, dtype=kind)
    distinct = _Distinct(json.loads if column in JSON_COLUMNS else str)
    return lambda values: np.fromiter(map(distinct.__getitem__, values), object, len(values))


class _Distinct(dict[Any, Any]):
    """The value of each distinct text: parsed once, and kept once however often it occurs."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        super().__init__({None: None})
        self._parse = parse

    def __missing__(self, text: str) -> Any:
        value = self[text] = self._parse(text)
        return value
