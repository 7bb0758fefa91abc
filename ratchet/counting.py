"""A data set read once, in batches: its profile, and a sample of its rows.

DuckDB reads and casts, on its own threads; NumPy counts what arrives. Memory holds a few batches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ratchet.bins import category_bins, number_bins
from ratchet.config import Kind
from ratchet.profile import CategoryCounts, Counts, NumberCounts, summed

if TYPE_CHECKING:
    import duckdb
    import pyarrow

BATCH = 65_536  # rows: a column of it stays in a processor's cache
THREADS = 2
BINNED = 200_000  # rows that the bins are frozen from; up to that many, from all of them
SEED = 42
LOST = " (unreadable)"


@dataclass(frozen=True)
class Column:
    """What a column means, and so how its values are read, whatever type they arrive in."""

    name: str
    kind: Kind
    numbers: bool = False  # categories that are numbers

    def value(self, kind: str) -> str:
        """SQL for the value, as the one type of its kind, or NULL where it is none."""
        plain = quoted(self.name)
        text = plain if kind == "VARCHAR" else f"CAST({plain} AS VARCHAR)"
        if self.kind == "boolean":
            word = f"lower({text})"
            return f"CASE WHEN {word} IN {TRUE} THEN 'true' WHEN {word} IN {FALSE} THEN 'false' END"
        source = plain if self.expects(kind) else text
        if self.kind == "date":
            return f"epoch(TRY_CAST({source} AS TIMESTAMPTZ))"
        number = f"TRY_CAST({source} AS DOUBLE)"
        if self.kind == "numeric":
            return number
        return f"CAST({number} AS VARCHAR)" if self.numbers else text

    def expects(self, kind: str) -> bool:
        """Whether every value of this type of DuckDB's can be read."""
        if self.kind == "date":
            return kind.startswith(DATES)
        if self.kind == "numeric" or self.numbers:
            return kind.startswith((*NUMBERS, "BOOLEAN"))
        return kind == "BOOLEAN" if self.kind == "boolean" else not kind.startswith(NUMBERS)


NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
           "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
DATES = ("DATE", "TIMESTAMP")
TRUE, FALSE = "('true', '1', '1.0')", "('false', '0', '0.0')"


def quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def types(relation: "duckdb.DuckDBPyRelation") -> dict[str, str]:
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


def column(name: str, kind: str, given: Kind | None = None) -> Column:
    """As the settings say, or as its type suggests."""
    number = kind.startswith(NUMBERS)
    if given is None:
        suggested: dict[bool, Kind] = {
            number: "numeric", kind == "BOOLEAN": "boolean", kind.startswith(DATES): "date"
        }  # fmt: skip
        given = suggested.get(True, "categorical")
    return Column(name, given, given == "categorical" and number)


def first_counts(
    relation: "duckdb.DuckDBPyRelation", columns: Sequence[Column], rows: int
) -> tuple[list[Counts], "pyarrow.Table"]:
    """With bins frozen from the data themselves: what a reference is."""
    reader = _reader(relation, columns)
    chosen = _Sample(BINNED, reader.schema)
    for batch in reader:
        chosen.add(batch)
    values = chosen.table()
    return counts(relation, columns, [_empty(c, values.column(c.name)) for c in columns], rows)


def counts(
    relation: "duckdb.DuckDBPyRelation",
    columns: Sequence[Column],
    empty: Sequence[Counts],
    rows: int,
) -> tuple[list[Counts], "pyarrow.Table"]:
    """Each column's values in its bins, and a sample of so many rows."""
    totals = list(empty)
    reader = _reader(relation, columns)
    chosen = _Sample(rows, reader.schema)
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in reader:
            values = [batch.column(column.name) for column in columns]
            lost = [batch.column(f"{column.name}{LOST}") for column in columns]
            parts = pool.map(_counted, values, lost, empty)
            totals = [summed(total, part) for total, part in zip(totals, parts, strict=True)]
            chosen.add(batch)
    return totals, chosen.table().select([column.name for column in columns])


def _reader(
    relation: "duckdb.DuckDBPyRelation", columns: Sequence[Column]
) -> "pyarrow.RecordBatchReader":
    """Each column's values, and where there was one that cannot be read as its kind."""
    known = types(relation)
    values = []
    for column in columns:
        name, value = column.name, column.value(known[column.name])
        sure = column.expects(known[name])
        lost = "false" if sure else f"{quoted(name)} IS NOT NULL AND {value} IS NULL"
        values += [f"{value} AS {quoted(name)}", f"{lost} AS {quoted(name + LOST)}"]
    return relation.project(", ".join(values)).to_arrow_reader(BATCH)


def _empty(column: Column, values: "pyarrow.ChunkedArray") -> Counts:
    if column.kind in ("numeric", "date"):
        bins = number_bins(_finite(values))
        return NumberCounts(column.kind, bins, np.zeros(len(bins.edges) + 1, np.int64))
    names = category_bins(values)
    return CategoryCounts(
        column.kind, column.numbers, names, np.zeros(len(names.names) + 2, np.int64)
    )


def _counted(values: "pyarrow.Array", lost: "pyarrow.Array", empty: Counts) -> Counts:
    if isinstance(empty, NumberCounts):
        finite = _finite(values)
        missing = len(values) - len(finite)
        return replace(
            empty, counts=empty.bins.count(finite), missing=missing, unreadable=lost.true_count
        )
    found, new = empty.bins.count(values)
    return replace(
        empty,
        counts=found,
        missing=values.null_count,
        unreadable=lost.true_count,
        examples=empty.bins.examples(new),
    )


def _finite(values: "pyarrow.Array | pyarrow.ChunkedArray") -> np.ndarray:
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=float)
    finite = np.isfinite(numbers)
    return numbers if finite.all() else numbers[finite]


class _Sample:
    """The rows with the smallest of random keys: any row is as likely as any other."""

    def __init__(self, rows: int, schema: "pyarrow.Schema") -> None:
        self._rows, self._schema = rows, schema
        self._random = np.random.default_rng(SEED)
        self._keys = np.empty(0)
        self._parts: list[pyarrow.RecordBatch] = []
        self._bar = np.inf

    def add(self, batch: "pyarrow.RecordBatch") -> None:
        keys = self._random.random(batch.num_rows)
        chosen = np.flatnonzero(keys < self._bar)
        self._parts.append(batch.take(chosen))
        self._keys = np.concatenate([self._keys, keys[chosen]])
        if len(self._keys) > 2 * self._rows:
            self._trim()

    def _trim(self) -> None:
        kept = np.sort(np.argpartition(self._keys, self._rows)[: self._rows])
        self._parts = self._joined().take(kept).combine_chunks().to_batches()
        self._keys = self._keys[kept]
        self._bar = self._keys.max()

    def _joined(self) -> "pyarrow.Table":
        import pyarrow

        return pyarrow.Table.from_batches(self._parts, self._schema)

    def table(self) -> "pyarrow.Table":
        if len(self._keys) > self._rows:
            self._trim()
        return self._joined()
