"""The one way to read a prediction log: a source, a window of its requests, and some columns.

    rows = read_log(log_url(), Window(prod_version="3", staging_version="4")).frame

A source is the address of a database, a CSV or Parquet export, or the address of a service.
"""

import json
from collections.abc import Iterator, Sequence
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
    for name in set(columns) & set(JSON_COLUMNS):
        arrays[name] = _parsed(arrays[name])
    # With a dtype, because pandas would make floats of 1 and None, and copy every text.
    frame = pd.DataFrame({name: pd.Series(a, dtype=a.dtype) for name, a in arrays.items()})
    return LogRows(frame, known_until)


def _arrays(read_pages: Iterator[list[Any]], columns: Sequence[str]) -> "dict[str, np.ndarray]":
    """Make an array per column of each page: a million tuples would slow Python's collector."""
    import numpy as np

    types = [NUMPY_TYPES.get(type(predictions.c[name].type), object) for name in columns]
    parts: list[list[np.ndarray]] = [[np.array([], kind)] for kind in types]
    for page in read_pages:
        for part, values, kind in zip(parts, zip(*page, strict=True), types, strict=False):
            part.append(np.array(values, kind))
    return {name: np.concatenate(part) for name, part in zip(columns, parts, strict=True)}


def _parsed(texts: "np.ndarray") -> "np.ndarray":
    """Parse each distinct text once."""
    import numpy as np
    import pandas as pd

    codes, distinct = pd.factorize(texts)
    values = np.empty(len(distinct) + 1, dtype=object)  # the last one, for code -1, stays None
    values[:-1] = [json.loads(text) for text in distinct]
    return values[codes]
