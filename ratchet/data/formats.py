"""Files of each format as a DuckDB relation: CSV, Parquet, JSON and spreadsheets."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from ratchet.data import csv_dialect
from ratchet.data.csv_dialect import Dialect
from ratchet.errors import InputError
from ratchet.progress import print_once
from ratchet.settings import DataSettings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    Named = tuple[DuckDBPyRelation, list[str]]

PARQUET = (".parquet", ".pq")
JSON = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
SHEETS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
# Without BOOLEAN: DuckDB reads "yes" and "no" as booleans, and the rows that are served say "yes".
CSV_TYPES = ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"]
NOT_ONE_VALUE = ("list", "struct", "map", "array", "union", "blob")
LARGEST_JSON = 1 << 30  # bytes of one record, or of a whole file that is one list


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(value: str) -> str:
    """Return a text as SQL writes it."""
    escaped = value.replace("'", "''")
    return f"'{escaped}'"


def is_parquet(file: str) -> bool:
    return file.endswith(PARQUET)


@contextmanager
def relation_of(
    source: str,
    files: list[str],
    settings: DataSettings,
    detected: Collection[str] | None,
    numbers: Collection[str],
    connection: "DuckDBPyConnection",
    folder: Path,
    partitioned: bool,
) -> "Iterator[Named]":
    """Open the files and name their columns; turn every error of a reader into an InputError."""
    dialect = None
    try:
        if files[0].endswith(PARQUET):
            relation, names = _parquet(files, connection, partitioned)
        elif files[0].endswith(JSON):
            relation, names = _json(files, connection)
        elif files[0].endswith(SHEETS):
            relation, names = _sheets(source, files, settings, connection)
        else:
            dialect = csv_dialect.dialect_of(files, settings.csv, settings.missing)
            _print_guesses(source, dialect, settings)
            if dialect.encoding != "utf-8":
                files = [csv_dialect.as_utf8(file, dialect.encoding, folder) for file in files]
            relation = _csv(files, dialect, settings, detected, numbers, connection, partitioned)
            names = list(dialect.names)
        _refuse_repeated_columns(source, names)
        names += relation.columns[len(names) :]  # a partition's, from the folders' names
        _refuse_nested_columns(source, names, relation, settings.drop)
        yield relation, names
    except (duckdb.Error, OSError) as error:
        reason = _reason(error)
        if dialect and "sniffing" in str(error):
            reason = csv_dialect.misfit(files, dialect)
        raise InputError(f"{source} cannot be read as {_format(files[0])}: {reason}") from None


def _print_guesses(source: str, dialect: Dialect, settings: DataSettings) -> None:
    guesses = dialect.guesses(settings.csv)
    if guesses:
        print_once(f"{source}: {', '.join(guesses)} (guessed; data.csv changes it)")


def _csv(
    files: list[str],
    dialect: Dialect,
    settings: DataSettings,
    detected: Collection[str] | None,
    numbers: Collection[str],
    connection: "DuckDBPyConnection",
    partitioned: bool,
) -> "DuckDBPyRelation":
    read_csv: Callable[..., DuckDBPyRelation] = connection.read_csv
    options = dialect.options | {
        "header": True,
        "auto_type_candidates": CSV_TYPES,
        "na_values": list(settings.missing) or [""],
        "hive_partitioning": partitioned,
    }
    names = dialect.names
    needed = names if detected is None else [name for name in names if name in detected]
    relation = read_csv(files, sample_size=-1 if needed else 2048, **options)
    if needed != names:
        types = [
            sql_type if name in needed else "VARCHAR"
            for name, sql_type in zip(names, map(str, relation.types), strict=False)
        ]
        relation = read_csv(files, dtype=types, **options)
    return _with_plain_numbers(relation, dialect, detected is None, numbers)


def _with_plain_numbers(
    relation: "DuckDBPyRelation", dialect: Dialect, detect: bool, numbers: Collection[str]
) -> "DuckDBPyRelation":
    """Write numbers in text columns as SQL does, and read a column as numbers if all values are.

    DuckDB's option for thousands leaves a column as text if the first one is far down in the file.
    """
    if dialect.decimal == "." and not dialect.thousands:
        return relation
    pattern, grouped = (
        text.replace("'", "''") for text in (dialect.number_pattern, dialect.thousands)
    )
    columns = list(map(quoted, relation.columns))
    kinds = enumerate(map(str, relation.types[: len(dialect.names)]))
    places = [place for place, kind in kinds if kind == "VARCHAR"]
    matches = {place: f"regexp_full_match({columns[place]}, '{pattern}')" for place in places}
    tests = [f"coalesce(bool_and({match}), false)" for match in matches.values()]
    complete = [False] * len(places)
    if detect and tests:
        complete = list(relation.aggregate(", ".join(tests)).fetchall()[0])
    for place, whole in zip(places, complete, strict=True):
        text = columns[place]
        plain = f"replace(replace({text}, '{grouped}', ''), '{dialect.decimal}', '.')"
        if whole:
            columns[place] = f"CAST({plain} AS DOUBLE) AS {text}"
        elif dialect.names[place] in numbers:
            columns[place] = f"CASE WHEN {matches[place]} THEN {plain} ELSE {text} END AS {text}"
    return relation.project(", ".join(columns))


def _parquet(files: list[str], connection: "DuckDBPyConnection", partitioned: bool) -> "Named":
    names = _parquet_names(files[0], connection)
    read_parquet: Any = connection.read_parquet  # its stub leaves out the list of files
    return read_parquet(files, hive_partitioning=partitioned), names


def _parquet_names(file: str, connection: "DuckDBPyConnection") -> list[str]:
    """Return the outermost columns; the schema lists the parts of a nested one after it."""
    rows = connection.execute(
        "SELECT name, coalesce(num_children, 0) FROM parquet_schema(?)", [file]
    ).fetchall()
    names, inside = [], 0
    for name, children in rows[1:]:
        if inside:
            inside += children - 1
        else:
            names.append(str(name))
            inside = children
    return names


def _json(files: list[str], connection: "DuckDBPyConnection") -> "Named":
    """Read records: a list of objects, or one object a line."""
    relation = connection.sql(
        "SELECT * FROM read_json(?, sample_size=-1, union_by_name=true, maximum_object_size=?)",
        params=[files, LARGEST_JSON],
    )
    columns = []
    for name, sql_type in zip(relation.columns, map(str, relation.types), strict=True):
        column = quoted(name)
        columns.append(f"{column} ->> '$' AS {column}" if sql_type == "JSON" else column)
    return relation.project(", ".join(columns)), list(relation.columns)


def _sheets(
    source: str, files: list[str], settings: DataSettings, connection: "DuckDBPyConnection"
) -> "Named":
    from ratchet.data.source import of_frame

    tables = [_sheet(source, file, settings) for file in files]
    headers = [list(map(str, table.columns)) for table in tables]
    for file, header in zip(files, headers, strict=True):
        csv_dialect.require_same_header(file, header, files[0], headers[0])
    _refuse_repeated_columns(source, headers[0])
    rows = of_frame(pd.concat(tables, ignore_index=True).infer_objects(), connection)
    return rows.relation, rows.names


def _sheet(source: str, file: str, settings: DataSettings) -> pd.DataFrame:
    """Read one sheet, whose first row is the header."""
    try:
        with pd.ExcelFile(file, engine="calamine") as book:
            sheet = _sheet_name(source, [str(name) for name in book.sheet_names], settings.sheet)
            cells = pd.read_excel(
                book,
                sheet_name=sheet,
                header=None,
                na_values=list(settings.missing),
                keep_default_na=False,
            )
    except InputError:
        raise
    except Exception as error:  # calamine's errors have no common class
        raise InputError(f"{file} cannot be read as a spreadsheet: {_reason(error)}") from None
    if cells.empty:
        raise InputError(f"{file}: sheet '{sheet}' is empty; expected a header and rows")
    header = ["" if pd.isna(name) else str(name).strip() for name in cells.iloc[0]]
    names = [name or f"unnamed_{place}" for place, name in enumerate(header, 1)]
    return cells.iloc[1:].set_axis(names, axis="columns")


def _sheet_name(source: str, names: Sequence[str], sheet: str | None) -> str:
    if sheet is None and len(names) > 1:
        others = ", ".join(names[1:6])
        print_once(f"{source}: sheet '{names[0]}' is read, not {others} (data.sheet changes it)")
    if sheet is not None and sheet not in names:
        raise InputError(
            f"{source} has no sheet '{sheet}' (data.sheet); its sheets: {', '.join(names)}"
        )
    return sheet or names[0]


def _format(file: str) -> str:
    if file.endswith(PARQUET):
        return "Parquet, as its name says"
    if file.endswith(JSON):
        return "JSON records, as its name says"
    return "CSV with a header line (a Parquet file's name ends in .parquet)"


def _reason(error: Exception) -> str:
    text = re.split(r"\n\s*(?:Possible|file =)|\nLINE 1", str(error))[0]
    return " ".join(text.split())[:300]


def _refuse_repeated_columns(source: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{source} has two columns named '{repeated[0]}'; rename one of them")


def _refuse_nested_columns(
    source: str, names: list[str], relation: "DuckDBPyRelation", drop: tuple[str, ...]
) -> None:
    for name, kind in zip(names, relation.types, strict=True):
        if kind.id in NOT_ONE_VALUE and name not in drop:
            raise InputError(
                f"{source}: column '{name}' holds {kind.id}s, expected one value a row;"
                " flatten it before, or name it under data.drop"
            )
