"""A version that scores columns of many rows, checked against its pipeline before it does."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ratchet.serving.checked_model import CheckedModel
from ratchet.serving.comparison import rows_to_compare
from ratchet.serving.direct import Direct
from ratchet.serving.estimators import Scores, same

if TYPE_CHECKING:
    Columns = Sequence[pa.Array]

TYPES = {
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("us"),
    "string": pa.string(),
}


class BatchModel:
    """The form of the model for many rows does not depend on a measurement, but on the model alone.

    So each machine gives the same bits.
    """

    def __init__(self, folder: Path) -> None:
        self._model = CheckedModel(folder)
        self.card, self.classes = self._model.card, self._model.classes
        self.why_not_faster = self._model.why_not_faster
        self._direct = self._model.direct
        if self._direct and not self._agrees(self._direct):
            self._direct = None
            self.why_not_faster = "its columns are answered differently than by its pipeline"

    @property
    def path(self) -> str:
        return f"direct, {self._direct.form.name}" if self._direct else "pipeline"

    def scores(self, columns: "Columns") -> Scores:
        if self._direct:
            return self._direct.of_columns(columns)
        return self._model.by_pipeline(list(zip(*[c.to_pylist() for c in columns], strict=True)))

    def _agrees(self, direct: Direct) -> bool:
        rows = rows_to_compare(self.card, self._model.pipeline)
        return same(direct.of_columns(self.columns_of(rows)), self._model.by_pipeline(rows))

    def columns_of(self, rows: Sequence[tuple[Any, ...]]) -> "Columns":
        cells = zip(self.card.columns, zip(*rows, strict=True), strict=True)
        return [pa.array(values, TYPES[column.type]) for column, values in cells]
