"""The one way to read a prediction log: a source, a window of its requests, and some columns.

    rows = read_log(log_url(), Window(prod_version="3", staging_version="4")).frame

A source is the address of a database, a CSV or Parquet export, or the address of a service.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Boolean, Double

from ratchet.predictions import exports
from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Assumed, Window

if TYPE_CHECKING:
    import pandas as pd

NUMPY_TYPES: dict[type, str] = {Double: "float64", Boolean: "bool"}

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
        series = _series(pages(engine, window, columns), columns)
    return LogRows(pd.DataFrame(series, copy=False), known_until)


def _series(read_pages: Iterator[list[Any]], names: Sequence[str]) -> "dict[str, pd.Series[Any]]":
    """Read page by page: a million tuples would slow Python's collector."""
    columns = {name: _column(name) for name in names}
    for page in read_pages:
        for column, values in zip(columns.values(), zip(*page, strict=True), strict=False):
            column.add(values)
    return {name: columns.pop(name).series() for name in names}


def _column(name: str) -> "_Numbers | _Objects":
    column = predictions.c[name]
    if numpy_type := NUMPY_TYPES.get(type(column.type)):
        return _Numbers(numpy_type)
    if name in JSON_COLUMNS:
        return _Objects(json.loads)
    if column.nullable or column.primary_key:
        return _Objects(None if column.primary_key else str)
    return _Categories()


class _Numbers:
    """Numbers in one buffer that grows. To join an array per page would need twice the memory."""

    def __init__(self, numpy_type: str) -> None:
        self._type, self._buffer = numpy_type, bytearray()

    def add(self, values: Sequence[Any]) -> None:
        import numpy as np

        self._buffer += np.array(values, dtype=self._type).tobytes()

    def series(self) -> "pd.Series[Any]":
        import numpy as np
        import pandas as pd

        return pd.Series(np.frombuffer(self._buffer, dtype=self._type), copy=False)


class _Categories(_Numbers):
    """Texts that are never null, as a number per row."""

    def __init__(self) -> None:
        super().__init__("int32")
        self._codes = _Codes()

    def add(self, values: Sequence[str]) -> None:
        super().add(list(map(self._codes.__getitem__, values)))

    def series(self) -> "pd.Series[Any]":
        import pandas as pd

        categories = pd.Index(list(self._codes), dtype=object)
        return pd.Series(pd.Categorical.from_codes(super().series().to_numpy(), categories))


class _Objects:
    """Python objects. With `parse`, each distinct text is parsed once and kept once."""

    def __init__(self, parse: Callable[[str], Any] | None) -> None:
        self._values: list[Any] = []
        self._distinct = _Distinct(parse) if parse else None

    def add(self, values: Sequence[Any]) -> None:
        self._values.extend(
            values if self._distinct is None else map(self._distinct.__getitem__, values)
        )

    def series(self) -> "pd.Series[Any]":
        import numpy as np
        import pandas as pd

        # With a dtype, because pandas would make floats of 1 and None, and copy every text.
        values = np.fromiter(self._values, object, len(self._values))
        return pd.Series(values, dtype=object, copy=False)


class _Distinct(dict[Any, Any]):
    """The value of each distinct text: parsed once, and kept once however often it occurs."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        super().__init__({None: None})
        self._parse = parse

    def __missing__(self, text: str) -> Any:
        value = self[text] = self._parse(text)
        return value


class _Codes(dict[str, int]):
    """The number of each distinct text, in the order in which the texts occur."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code
