"""Where a table comes from: a name, a file, a glob or an fsspec address."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratchet.data import csv_dialect
from ratchet.data.files import TOYS, fetched_files, local_files
from ratchet.errors import InputError

if TYPE_CHECKING:
    import duckdb

# Without BOOLEAN: DuckDB takes yes and no for it, and the rows that are served say "yes".
CSV_TYPES = ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"]
NOT_ONE_VALUE = ("list", "struct", "map", "array", "union", "blob")


def read(source: str, missing: tuple[str, ...] = ("",), drop: tuple[str, ...] = ()) -> pd.DataFrame:
    with opened(source, missing, drop) as rows:
        return pd.DataFrame(rows.relation.df().set_axis(rows.names, axis="columns"))


@dataclass(frozen=True)
class Rows:
    """A query of a whole source, nothing of it in memory yet."""

    relation: "duckdb.DuckDBPyRelation"
    names: list[str]  # as they are written; DuckDB renames those that differ in case only

    @cached_property
    def types(self) -> list[str]:
        return [str(kind) for kind in self.relation.types]


@contextmanager
def opened(
    source: str,
    missing: tuple[str, ...] = ("",),
    drop: tuple[str, ...] = (),
    setting: str = "data.source",
    detected: Collection[str] | None = None,
    connection: "duckdb.DuckDBPyConnection | None" = None,
    one_of_several: bool = False,
) -> Iterator[Rows]:
    """DuckDB reads when it is asked for rows, so a broken file may show as late as that.

    Columns in `drop` may hold what a table cannot: they are not looked at. `detected`: the columns
    of a CSV whose type is found out, where the others are to stay text; none given: all of them.
    The folders of several files may be named year=2024, which is a column then.
    """
    if source in TOYS:
        yield of_frame(_read_toy(source))
    elif "://" in source:  # by way of a copy: not every file system lets DuckDB jump about
        with TemporaryDirectory() as folder:
            try:
                files = fetched_files(source, Path(folder), setting)
                with _opened_files(
                    source, files, missing, drop, detected, connection or connect(), one_of_several
                ) as rows:
                    yield rows
            except InputError as error:
                address = source.split("://")[0] + "://"
                raise InputError(str(error).replace(f"{folder}/", address)) from None
    else:
        files = local_files(source, setting)
        with _opened_files(
            source, files, missing, drop, detected, connection or connect(), one_of_several
        ) as rows:
            yield rows


def of_frame(frame: pd.DataFrame) -> Rows:
    import pyarrow

    try:
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    except pyarrow.ArrowException:  # a column of numbers and texts
        mixed = [name for name in frame if frame[name].dtype == object]
        texts = {str(name): frame[name].map(str, na_action="ignore") for name in mixed}
        table = pyarrow.Table.from_pandas(frame.assign(**texts), preserve_index=False)
    return Rows(connect().from_arrow(table), list(map(str, frame.columns)))


def connect() -> "duckdb.DuckDBPyConnection":
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false")
    return connection


def _read_toy(name: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = [
        re.sub(r"\W+", "_", str(column).removesuffix(" (cm)")) for column in bunch.feature_names
    ]
    frame = pd.DataFrame(bunch.data, columns=columns)
    return frame.assign(target=[str(bunch.target_names[code]) for code in bunch.target])


@contextmanager
def _opened_files(
    source: str,
    files: list[str],
    missing: tuple[str, ...],
    drop: tuple[str, ...],
    detected: Collection[str] | None,
    connection: "duckdb.DuckDBPyConnection",
    one_of_several: bool,
) -> Iterator[Rows]:
    import duckdb

    parts = one_of_several or len(files) > 1
    try:
        if is_parquet(files[0]):
            names = _parquet_names(files[0], connection)
            read_parquet: Any = connection.read_parquet  # its stub leaves out the list of files
            relation = read_parquet(files, hive_partitioning=parts)
        else:
            names, dialect = csv_dialect.of(files)
            options = dialect | {"na_values": list(missing) or [""], "hive_partitioning": parts}
            relation = _csv(files, names, options, detected, connection)
        _refuse_repeated_columns(source, names)
        names += relation.columns[len(names) :]  # a partition's, from the folders' names
        _refuse_nested_columns(source, names, relation, drop)
        yield Rows(relation, names)
    except (duckdb.Error, OSError) as error:
        reason = csv_dialect.misfit(files) if "sniffing" in str(error) else _reason(error)
        raise InputError(f"{source} cannot be read as {_expected(files[0])}: {reason}") from None


def _csv(
    files: list[str],
    names: list[str],
    options: dict[str, Any],
    detected: Collection[str] | None,
    connection: "duckdb.DuckDBPyConnection",
) -> "duckdb.DuckDBPyRelation":
    """Finding out a type takes reading every value once more."""
    read_csv: Callable[..., duckdb.DuckDBPyRelation] = connection.read_csv
    options = {"header": True, "auto_type_candidates": CSV_TYPES} | options
    wanted = names if detected is None else [name for name in names if name in detected]
    found = read_csv(files, sample_size=-1 if wanted else 2048, **options)
    if wanted == names:
        return found
    kinds = [
        kind if name in wanted else "VARCHAR"
        for name, kind in zip(names, map(str, found.types), strict=False)
    ]
    return read_csv(files, dtype=kinds, **options)


def is_parquet(file: str) -> bool:
    return file.endswith((".parquet", ".pq"))


def _expected(file: str) -> str:
    if is_parquet(file):
        return "Parquet, as its name says"
    return "CSV with a header line (a Parquet file's name ends in .parquet)"


def _reason(error: Exception) -> str:
    text = re.split(r"\n\s*(?:Possible|file =)|\nLINE 1", str(error))[0]
    return " ".join(text.split())[:300]


def _parquet_names(file: str, connection: "duckdb.DuckDBPyConnection") -> list[str]:
    """The outermost columns. The schema lists a nested one's parts after it."""
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


def _refuse_repeated_columns(source: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{source} has two columns named '{repeated[0]}'; rename one of them")


def _refuse_nested_columns(
    source: str, names: list[str], relation: "duckdb.DuckDBPyRelation", drop: tuple[str, ...]
) -> None:
    for name, kind in zip(names, relation.types, strict=True):
        if kind.id in NOT_ONE_VALUE and name not in drop:
            raise InputError(
                f"{source}: column '{name}' holds {kind.id}s, expected one value a row;"
                " flatten it before, or name it under data.drop"
            )
