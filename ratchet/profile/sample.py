"""A random sample of rows, drawn while they are read. Samples of parts add up to one sample."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

SEED = 42


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows with the smallest random keys, so that each row is equally likely to be drawn."""

    rows: "pyarrow.Table"
    keys: np.ndarray
    size: int

    def __add__(self, other: "Sample") -> "Sample":
        """Return the sample of both parts. The rows of `other` come after these."""
        import pyarrow

        rows = pyarrow.concat_tables([self.rows, other.rows])
        return Sample(rows, np.concatenate([self.keys, other.keys]), self.size).trimmed()

    def trimmed(self) -> "Sample":
        if len(self.keys) <= self.size:
            return self
        kept = np.sort(np.argpartition(self.keys, self.size)[: self.size])
        return Sample(self.rows.take(kept), self.keys[kept], self.size)


class Sampler:
    """Draws the sample batch by batch.

    A row's key depends on its position in the whole data only. `rows_before` is the number of rows
    that come before these.
    """

    def __init__(self, size: int, schema: "pyarrow.Schema", rows_before: int = 0) -> None:
        self._size, self._schema = size, schema
        self._random = np.random.Generator(np.random.PCG64(SEED).advance(rows_before))
        self._keys = np.empty(0)
        self._parts: list[pyarrow.RecordBatch] = []
        self._largest_key = np.inf

    def add(self, batch: "pyarrow.RecordBatch") -> None:
        keys = self._random.random(batch.num_rows)
        chosen = np.flatnonzero(keys < self._largest_key)
        self._parts.append(batch.take(chosen))
        self._keys = np.concatenate([self._keys, keys[chosen]])
        if len(self._keys) > 2 * self._size:
            kept = self.sample
            self._parts, self._keys = kept.rows.combine_chunks().to_batches(), kept.keys
            self._largest_key = self._keys.max()

    @property
    def sample(self) -> Sample:
        import pyarrow

        rows = pyarrow.Table.from_batches(self._parts, self._schema)
        return Sample(rows, self._keys, self._size).trimmed()
