"""One pass over a data set, in batches: the counts of each column, and a sample of the rows.

DuckDB reads and casts on its own threads; NumPy counts the batches. Memory holds a few batches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ratchet.columns import SQL_DATES, SQL_NUMBERS, Kind, kind_of_sql_type
from ratchet.data.formats import quoted
from ratchet.data.source import Rows
from ratchet.profile.bins import BOOLEAN_BINS, category_bins, number_bins
from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts, summed
from ratchet.profile.sample import Sample, Sampler

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 32_768  # a column of a batch fits into the processor's cache
THREADS = 2
ROWS_FOR_BINS = 200_000  # of a larger reference, a sample of so many rows sets the bins


@dataclass(frozen=True)
class Column:
    """A column and its kind, which decides how values are read, whatever type they arrive in."""

    name: str
    kind: Kind
    numbers: bool = False  # the categories are numbers

    def value(self, expression: str, sql_type: str) -> str:
        """Return SQL for the value in the one type of its kind, or NULL if it cannot be read."""
        text = expression if sql_type == "VARCHAR" else f"CAST({expression} AS VARCHAR)"
        if self.kind == "boolean":
            word = f"lower({text})"
            return f"CASE WHEN {word} IN {TRUE} THEN 'true' WHEN {word} IN {FALSE} THEN 'false' END"
        if self.kind == "date":
            return f"epoch({self.moment(expression, sql_type)})"
        source = expression if self.accepts(sql_type) else text
        number = f"TRY_CAST({source} AS DOUBLE)"
        if self.kind == "numeric":
            return number
        return f"CAST({number} AS VARCHAR)" if self.numbers else text

    def moment(self, expression: str, sql_type: str) -> str:
        source = expression if self.accepts(sql_type) else f"CAST({expression} AS VARCHAR)"
        return f"TRY_CAST({source} AS TIMESTAMPTZ)"

    def accepts(self, sql_type: str) -> bool:
        """Return whether each value of this DuckDB type can be read as the column's kind."""
        if self.kind == "date":
            return sql_type.startswith(SQL_DATES)
        if self.kind == "numeric" or self.numbers:
            return sql_type.startswith((*SQL_NUMBERS, "BOOLEAN"))
        if self.kind == "boolean":
            return sql_type == "BOOLEAN"
        return not sql_type.startswith(SQL_NUMBERS)


TRUE, FALSE = "('true', '1', '1.0')", "('false', '0', '0.0')"


def column(name: str, sql_type: str, kind: Kind | None = None) -> Column:
    """Return the column with the kind that is set, or else the one that its type suggests."""
    kind = kind or kind_of_sql_type(sql_type)
    return Column(name, kind, kind == "categorical" and sql_type.startswith(SQL_NUMBERS))


def first_counts(
    rows: Rows, columns: Sequence[Column], sample_size: int
) -> tuple[list[Counts], Sample]:
    """Count a reference: freeze the bins from its own values, then count all of them."""
    reader = _reader(rows, columns)
    sampler = Sampler(ROWS_FOR_BINS, reader.schema)
    for batch in reader:
        sampler.add(batch)
    values = sampler.sample.rows.columns[::2]
    empty = [_empty(*pair) for pair in zip(columns, values, strict=True)]
    return counts(rows, columns, empty, sample_size)


def counts(
    rows: Rows,
    columns: Sequence[Column],
    empty: Sequence[Counts],
    sample_size: int,
    rows_before: int = 0,
) -> tuple[list[Counts], Sample]:
    """Count the values of each column in the bins of `empty`, and draw a sample of the rows."""
    totals = list(empty)
    reader = _reader(rows, columns)
    sampler = Sampler(sample_size, reader.schema, rows_before)
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in reader:
            parts = pool.map(counted_in, batch.columns[::2], batch.columns[1::2], empty)
            totals = [summed(total, part) for total, part in zip(totals, parts, strict=True)]
            sampler.add(batch)
    names = [column.name for column in columns]
    sample = sampler.sample
    values = sample.rows.select(range(0, 2 * len(names), 2)).rename_columns(names)
    return totals, replace(sample, rows=values)


def _reader(rows: Rows, columns: Sequence[Column]) -> "pyarrow.RecordBatchReader":
    """Read two columns for each one: its values, and if a value was there but is unreadable."""
    expressions = []
    for column in columns:
        source, sql_type = sql_of(column.name, rows)
        value = column.value(source, sql_type)
        unreadable = f"{source} IS NOT NULL AND {value} IS NULL"
        expressions += [value, "false" if column.accepts(sql_type) else unreadable]
    named = ", ".join(f"{value} AS c{position}" for position, value in enumerate(expressions))
    return rows.relation.project(named).to_arrow_reader(BATCH_ROWS)


def sql_of(name: str, rows: Rows) -> tuple[str, str]:
    """Return the quoted name of a column in SQL, and its DuckDB type."""
    position = rows.names.index(name)
    return quoted(rows.relation.columns[position]), rows.types[position]


def _empty(column: Column, values: "pyarrow.ChunkedArray") -> Counts:
    if column.kind in ("numeric", "date"):
        bins = number_bins(_finite(values))
        return NumberCounts(column.kind, bins, np.zeros(len(bins.edges) + 1, np.int64))
    names = BOOLEAN_BINS if column.kind == "boolean" else category_bins(values)
    return CategoryCounts(
        column.kind, column.numbers, names, np.zeros(len(names.names) + 2, np.int64)
    )


def counted_in(values: "pyarrow.Array", unreadable: "pyarrow.Array", empty: Counts) -> Counts:
    if isinstance(empty, NumberCounts):
        finite = _finite(values)
        missing = len(values) - len(finite)
        counted = empty.bins.count(finite)
        return replace(empty, counts=counted, missing=missing, unreadable=unreadable.true_count)
    counted, unseen = empty.bins.count(values)
    return replace(
        empty,
        counts=counted,
        missing=values.null_count,
        unreadable=unreadable.true_count,
        examples=empty.bins.examples(unseen),
    )


def _finite(values: "pyarrow.Array | pyarrow.ChunkedArray") -> np.ndarray:
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=float)
    finite = np.isfinite(numbers)
    return numbers if finite.all() else numbers[finite]
