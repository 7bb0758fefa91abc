"""Where a table comes from: a name, a file, a glob or an fsspec address."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    import duckdb

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
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    _find(source, connection)
    try:
        _refuse_repeated_columns(source, connection)
        if _is_parquet(source):
            relation = connection.read_parquet(source)
        else:
            relation = connection.read_csv(
                source,
                sample_size=-1,
                na_values=list(missing),
                header=True,
                auto_type_candidates=CSV_TYPES,
            )
        _refuse_nested_columns(source, relation)
        frame: pd.DataFrame = relation.df()
        return frame
    except duckdb.Error as error:
        expected = "Parquet" if _is_parquet(source) else "CSV with a header line"
        reason = " ".join(str(error).split("\n")[0].split())
        raise InputError(f"{source} cannot be read as {expected}: {reason}") from None


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


def _refuse_repeated_columns(source: str, connection: "duckdb.DuckDBPyConnection") -> None:
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


def _refuse_nested_columns(source: str, relation: "duckdb.DuckDBPyRelation") -> None:
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if kind.id in ("list", "struct", "map", "array", "union"):
            raise InputError(
                f"{source}: column '{name}' holds {kind.id}s, expected one value a row;"
                " flatten it before, or name it under data.drop"
            )
