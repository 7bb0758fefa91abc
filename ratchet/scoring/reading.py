"""The rows of one file as columns: those that the model takes, those of the profile, and the key.

DuckDB reads and casts them in batches. A value that cannot be read as its column's type arrives as
a missing one, and its text arrives next to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ratchet.columns import MAX_NUMBER, ColumnType, Kind
from ratchet.columns import Column as Input
from ratchet.data.source import Rows, opened
from ratchet.errors import InputError, nearest
from ratchet.profile.counting import Column, sql_of
from ratchet.profile.reading import frugal_connection

if TYPE_CHECKING:
    from ratchet.settings import DataSettings

KINDS: Mapping[ColumnType, Kind] = {
    "double": "numeric",
    "boolean": "boolean",
    "datetime": "date",
    "string": "categorical",
}
BATCH_ROWS = 16_384  # the batches of all threads are in memory together
EXPECTED: Mapping[ColumnType, str] = {
    "double": f"a number between {-MAX_NUMBER:g} and {MAX_NUMBER:g}",
    "boolean": "true or false",
    "datetime": "a date or time",
    "string": "a text",
}


@dataclass(frozen=True)
class Wanted:
    """The columns that scoring needs of each file."""

    version: str  # for people
    inputs: Sequence[Input]
    counted: Sequence[Column]  # the columns of the profile
    key: Sequence[str]


@dataclass(frozen=True)
class Batch:
    rows: int
    inputs: Sequence[pa.Array]
    refused: Mapping[int, str]  # a row that does not fit the model's signature: why
    counted: Sequence[tuple[pa.Array, pa.Array]]  # values, and whether each is unreadable
    key: Sequence[pa.Array]

    def slice(self, start: int, rows: int) -> "Batch":
        refused = {row - start: why for row, why in self.refused.items()}
        return Batch(
            rows,
            [one.slice(start, rows) for one in self.inputs],
            {row: why for row, why in refused.items() if 0 <= row < rows},
            [(v.slice(start, rows), u.slice(start, rows)) for v, u in self.counted],
            [one.slice(start, rows) for one in self.key],
        )


def batches(
    file: str, settings: "DataSettings", wanted: Wanted, one_of_several: bool
) -> Iterator[Batch]:
    dates, numbers = (
        [one.name for one in wanted.inputs if one.type == type_] for type_ in ("datetime", "double")
    )
    connection = frugal_connection()
    with opened(
        file, settings, "data", dates, numbers, connection, one_of_several=one_of_several
    ) as rows:
        _require_columns(file, rows, wanted)
        yield from Projection(rows, wanted).batches()


def _require_columns(file: str, rows: Rows, wanted: Wanted) -> None:
    missing = [one.name for one in wanted.inputs if one.name not in rows.names]
    if missing:
        others = f" (nor {', '.join(missing[1:6])})" if missing[1:] else ""
        raise InputError(
            f"{file} has no column '{missing[0]}', which {wanted.version} needs{others};"
            f" {nearest(missing[0], rows.names)}"
        )
    for name in wanted.key:
        if name not in rows.names:
            raise InputError(f"{file} has no column '{name}' (key); {nearest(name, rows.names)}")


@dataclass
class Projection:
    """The query of a file. An expression that is needed twice is read once."""

    rows: Rows
    wanted: Wanted
    _places: dict[str, int] = field(default_factory=dict)

    def batches(self) -> Iterator[Batch]:
        inputs = [self._input(one) for one in self.wanted.inputs]
        counted = [self._counted(one) for one in self.wanted.counted]
        key = [self._place(sql_of(name, self.rows)[0]) for name in self.wanted.key]
        named = ", ".join(f"{sql} AS c{place}" for sql, place in self._places.items())
        reader = self.rows.relation.project(named).to_arrow_reader(BATCH_ROWS)
        for read in reader:
            columns = read.columns
            values = [columns[place] for place, _ in inputs]
            refused = _unreadable(self.wanted.inputs, [columns[text] for _, text in inputs])
            yield Batch(
                read.num_rows,
                _without_infinite(self.wanted.inputs, values, refused),
                refused,
                [(columns[value], columns[unreadable]) for value, unreadable in counted],
                [columns[place] for place in key],
            )

    def _place(self, sql: str) -> int:
        return self._places.setdefault(sql, len(self._places))

    def _input(self, one: Input) -> tuple[int, int]:
        """Return the places of the values, and of the texts of unreadable values."""
        column = Column(one.name, KINDS[one.type])
        source, sql_type = sql_of(one.name, self.rows)
        value = column.value(source, sql_type)
        if one.type == "datetime":
            value = f"CAST({column.moment(source, sql_type)} AS TIMESTAMP)"
        elif one.type == "boolean":
            value = f"({value}) = 'true'"
        unreadable = f"{source} IS NOT NULL AND ({value}) IS NULL"
        text = f"CASE WHEN {unreadable} THEN CAST({source} AS VARCHAR) END"
        return self._place(value), self._place(
            "CAST(NULL AS VARCHAR)" if column.accepts(sql_type) else text
        )

    def _counted(self, column: Column) -> tuple[int, int]:
        source, sql_type = sql_of(column.name, self.rows)
        value = column.value(source, sql_type)
        unreadable = f"{source} IS NOT NULL AND {value} IS NULL"
        return self._place(value), self._place("false" if column.accepts(sql_type) else unreadable)


def _unreadable(inputs: Sequence[Input], texts: Sequence[pa.Array]) -> dict[int, str]:
    refused: dict[int, str] = {}
    for one, column in zip(inputs, texts, strict=True):
        if column.null_count < len(column):
            for row in np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)):
                refused.setdefault(int(row), _reason(one, column[int(row)].as_py()))
    return refused


def _without_infinite(
    inputs: Sequence[Input], columns: Sequence[pa.Array], refused: dict[int, str]
) -> list[pa.Array]:
    """Return the columns with infinite numbers as missing; refuse those that are too large."""
    kept = []
    for one, column in zip(inputs, columns, strict=True):
        kept.append(column)
        if one.type != "double":
            continue
        numbers = column.to_numpy(zero_copy_only=False)
        outside = np.abs(numbers) > MAX_NUMBER
        if outside.any():
            for row in np.flatnonzero(outside & np.isfinite(numbers)):
                refused.setdefault(int(row), _reason(one, f"{numbers[row]:g}"))
            kept[-1] = pc.if_else(pa.array(outside), pa.scalar(None, pa.float64()), column)
    return kept


def _reason(one: Input, text: str) -> str:
    return f"{one.name} is {text[:80]!r}; expected {EXPECTED[one.type]}"
