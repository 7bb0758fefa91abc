"""Where a table comes from: a name, a file, a glob or an fsspec address."""

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    import duckdb
    import pyarrow

TOYS = ("iris", "wine", "breast_cancer", "digits")
# Without BOOLEAN: DuckDB takes yes and no for it, and the rows that are served say "yes".
CSV_TYPES = ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"]


def read(source: str, missing: tuple[str, ...] = ("",)) -> pd.DataFrame:
    return _read_toy(source) if source in TOYS else _read_files(source, missing)


def _read_toy(name: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = [
        re.sub(r"\W+", "_", str(column).removesuffix(" (cm)")) for column in bunch.feature_names
    ]
    frame = pd.DataFrame(bunch.data, columns=columns)
    return frame.assign(target=[str(bunch.target_names[code]) for code in bunch.target])


def _read_files(source: str, missing: tuple[str, ...]) -> pd.DataFrame:
    connection = connect()
    with readable(source):
        frame: pd.DataFrame = relation(source, missing, connection).df()
        return frame


def connect() -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@contextmanager
def readable(source: str) -> Iterator[None]:
    """DuckDB reads when it is asked for rows, so that is where a broken file shows."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        expected = "Parquet" if _is_parquet(source) else "CSV with a header line"
        reason = " ".join(str(error).split("\n")[0].split())
        raise InputError(f"{source} cannot be read as {expected}: {reason}") from None


def relation(
    source: str,
    missing: tuple[str, ...],
    connection: "duckdb.DuckDBPyConnection",
    detected: Container[str] | None = None,
) -> "duckdb.DuckDBPyRelation":
    """A query of the whole source, nothing of it in memory.

    `detected`: the columns of a CSV whose type DuckDB finds out, by reading the file once more;
    the others are text. None: all of them.
    """
    if source in TOYS:
        return connection.from_arrow(pyarrow_table(_read_toy(source)))
    _find(source, connection)
    if "://" not in source:  # DuckDB would hold a whole row group, compressed, for speed from afar
        connection.execute("SET disable_parquet_prefetching = true")
    with readable(source):
        header = _header(source, connection)
        if _is_parquet(source):
            found = connection.read_parquet(source)
        else:
            texts = [] if detected is None else [n for n in header if n not in detected]
            found = connection.read_csv(
                source,
                sample_size=20_480 if len(texts) == len(header) else -1,
                na_values=list(missing),
                header=True,
                auto_type_candidates=CSV_TYPES,
                dtype=dict.fromkeys(texts, "VARCHAR") or None,
            )
        _refuse_nested_columns(source, found)
        return found


def pyarrow_table(frame: pd.DataFrame) -> "pyarrow.Table":
    import pyarrow

    return pyarrow.Table.from_pandas(frame, preserve_index=False)


def _is_parquet(source: str) -> bool:
    return source.rstrip("*").endswith((".parquet", ".pq"))


def _find(source: str, connection: "duckdb.DuckDBPyConnection") -> None:
    """Fail early, and in the words of the address, where there is nothing to read."""
    if "://" in source:
        files = _find_remote(source, connection)
    elif any(mark in source for mark in "*?["):
        root = Path(source).anchor or "."
        files = [path.stat().st_size for path in Path(root).glob(source.removeprefix(root))]
    else:
        files = [Path(source).stat().st_size] if Path(source).is_file() else []
    if not files:
        hint = nearest(source, TOYS) if re.fullmatch(r"\w+", source) else "is the path right?"
        raise InputError(f"No file at '{source}' (data.source); {hint}")
    if not any(files):
        raise InputError(f"{source} is empty; expected a header and rows")


def _find_remote(source: str, connection: "duckdb.DuckDBPyConnection") -> list[int]:
    import fsspec

    protocol = source.split("://")[0]
    try:
        system = fsspec.filesystem(protocol)
        connection.register_filesystem(system)
        found = system.glob(source) if any(m in source for m in "*?[") else [source]
        return [int(system.info(path)["size"] or 1) for path in found]
    except Exception as error:  # each file system raises errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"'{source}' (data.source) does not answer: {reason}") from None


def _header(source: str, connection: "duckdb.DuckDBPyConnection") -> list[str]:
    """DuckDB renames the second of two equal names; a renamed target would go unnoticed."""
    if _is_parquet(source):
        rows = connection.execute(
            "SELECT file_name, name FROM parquet_schema(?) WHERE num_children IS NULL", [source]
        ).fetchall()
        first = [name for file, name in rows if file == rows[0][0]]
    else:
        sniff = "SELECT Delimiter, Quote FROM sniff_csv(?)"
        delimiter, quote = connection.execute(sniff, [source]).fetchall()[0]
        header = connection.read_csv(
            source, header=False, all_varchar=True, sep=delimiter,
            quotechar="" if quote == "(empty)" else quote, null_padding=True,
        ).limit(1).fetchall()[0]  # fmt: skip
        first = [str(name).strip() for name in header]
    repeated = sorted({name for name in first if first.count(name) > 1})
    if repeated:
        raise InputError(f"{source} has two columns named '{repeated[0]}'; rename one of them")
    return first


def _refuse_nested_columns(source: str, relation: "duckdb.DuckDBPyRelation") -> None:
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if kind.id in ("list", "struct", "map", "array", "union"):
            raise InputError(
                f"{source}: column '{name}' holds {kind.id}s, expected one value a row;"
                " flatten it before, or name it under data.drop"
            )
