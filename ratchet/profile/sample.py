"""A sample of rows, drawn while they pass. Samples of parts add up to the sample of the whole."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

SEED = 42


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows with the smallest of random keys: any row is as likely as any other."""

    rows: "pyarrow.Table"
    keys: np.ndarray
    most: int

    def __add__(self, other: "Sample") -> "Sample":
        """With rows that come after these."""
        import pyarrow

        rows = pyarrow.concat_tables([self.rows, other.rows])
        return Sample(rows, np.concatenate([self.keys, other.keys]), self.most).trimmed()

    def trimmed(self) -> "Sample":
        if len(self.keys) <= self.most:
            return self
        kept = np.sort(np.argpartition(self.keys, self.most)[: self.most])
        return Sample(self.rows.take(kept), self.keys[kept], self.most)


class Drawing:
    """`before`: the rows of the whole that come before these. A row's key is that of its place."""

    def __init__(self, most: int, schema: "pyarrow.Schema", before: int = 0) -> None:
        self._most, self._schema = most, schema
        places = np.random.PCG64(SEED).advance(before)  # a step for each key
        self._random = np.random.Generator(places)
        self._keys = np.empty(0)
        self._parts: list[pyarrow.RecordBatch] = []
        self._bar = np.inf

    def add(self, batch: "pyarrow.RecordBatch") -> None:
        keys = self._random.random(batch.num_rows)
        chosen = np.flatnonzero(keys < self._bar)
        self._parts.append(batch.take(chosen))
        self._keys = np.concatenate([self._keys, keys[chosen]])
        if len(self._keys) > 2 * self._most:
            kept = self.sample
            self._parts, self._keys = kept.rows.combine_chunks().to_batches(), kept.keys
            self._bar = self._keys.max()

    @property
    def sample(self) -> Sample:
        import pyarrow

        rows = pyarrow.Table.from_batches(self._parts, self._schema)
        return Sample(rows, self._keys, self._most).trimmed()
