"""A data set read once, in batches: its profile, and a sample of its rows.

DuckDB reads and casts, on its own threads; NumPy counts what arrives. Memory holds a few batches.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ratchet.columns import SQL_DATES, SQL_NUMBERS, Kind, kind_of_sql_type
from ratchet.data.source import Rows
from ratchet.profile.bins import TRUTH, category_bins, number_bins
from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts, summed
from ratchet.profile.sample import Drawing, Sample

if TYPE_CHECKING:
    import pyarrow

BATCH = 32_768  # rows: a column of it stays in a processor's cache
THREADS = 2
BINNED = 200_000  # rows that the bins are frozen from; up to that many, from all of them


@dataclass(frozen=True)
class Column:
    """What a column means, and so how its values are read, whatever type they arrive in."""

    name: str
    kind: Kind
    numbers: bool = False  # categories that are numbers

    def value(self, place: str, kind: str) -> str:
        """SQL for the value, as the one type of its kind, or NULL where it is none."""
        text = place if kind == "VARCHAR" else f"CAST({place} AS VARCHAR)"
        if self.kind == "boolean":
            word = f"lower({text})"
            return f"CASE WHEN {word} IN {TRUE} THEN 'true' WHEN {word} IN {FALSE} THEN 'false' END"
        source = place if self.expects(kind) else text
        if self.kind == "date":
            return f"epoch(TRY_CAST({source} AS TIMESTAMPTZ))"
        number = f"TRY_CAST({source} AS DOUBLE)"
        if self.kind == "numeric":
            return number
        return f"CAST({number} AS VARCHAR)" if self.numbers else text

    def expects(self, kind: str) -> bool:
        """Whether every value of this type of DuckDB's can be read."""
        if self.kind == "date":
            return kind.startswith(SQL_DATES)
        if self.kind == "numeric" or self.numbers:
            return kind.startswith((*SQL_NUMBERS, "BOOLEAN"))
        return kind == "BOOLEAN" if self.kind == "boolean" else not kind.startswith(SQL_NUMBERS)


TRUE, FALSE = "('true', '1', '1.0')", "('false', '0', '0.0')"


def quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def column(name: str, kind: str, given: Kind | None = None) -> Column:
    """As the settings say, or as its type suggests."""
    wanted = given or kind_of_sql_type(kind)
    return Column(name, wanted, wanted == "categorical" and kind.startswith(SQL_NUMBERS))


def first_counts(
    rows: Rows, columns: Sequence[Column], sampled: int
) -> tuple[list[Counts], Sample]:
    """With bins frozen from the data themselves: what a reference is."""
    reader = _reader(rows, columns)
    chosen = Drawing(BINNED, reader.schema)
    for batch in reader:
        chosen.add(batch)
    values = chosen.sample.rows.columns[::2]
    return counts(rows, columns, [_empty(*pair) for pair in zip(columns, values, strict=True)],
                  sampled)  # fmt: skip


def counts(
    rows: Rows, columns: Sequence[Column], empty: Sequence[Counts], sampled: int, before: int = 0
) -> tuple[list[Counts], Sample]:
    """Each column's values in its bins, and a sample of so many rows."""
    totals = list(empty)
    reader = _reader(rows, columns)
    chosen = Drawing(sampled, reader.schema, before)
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in reader:
            parts = pool.map(_counted, batch.columns[::2], batch.columns[1::2], empty)
            totals = [summed(total, part) for total, part in zip(totals, parts, strict=True)]
            chosen.add(batch)
    names = [column.name for column in columns]
    values = chosen.sample.rows.select(range(0, 2 * len(names), 2)).rename_columns(names)
    return totals, replace(chosen.sample, rows=values)


def _reader(rows: Rows, columns: Sequence[Column]) -> "pyarrow.RecordBatchReader":
    """Each column's values, and where there was one that cannot be read as its kind."""
    wanted = []
    for column in columns:
        place, kind = place_of(column.name, rows)
        value = column.value(place, kind)
        sure = column.expects(kind)
        wanted += [value, "false" if sure else f"{place} IS NOT NULL AND {value} IS NULL"]
    named = ", ".join(f"{value} AS c{position}" for position, value in enumerate(wanted))
    return rows.relation.project(named).to_arrow_reader(BATCH)


def place_of(name: str, rows: Rows) -> tuple[str, str]:
    """How SQL names the column, and the type it arrives in."""
    position = rows.names.index(name)
    return quoted(rows.relation.columns[position]), rows.types[position]


def _empty(column: Column, values: "pyarrow.ChunkedArray") -> Counts:
    if column.kind in ("numeric", "date"):
        bins = number_bins(_finite(values))
        return NumberCounts(column.kind, bins, np.zeros(len(bins.edges) + 1, np.int64))
    names = TRUTH if column.kind == "boolean" else category_bins(values)
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
