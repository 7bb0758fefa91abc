"""Where a table comes from: a name, a file, a glob or an fsspec address."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratchet.data import csv_dialect
from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    import duckdb

TOYS = ("iris", "wine", "breast_cancer", "digits")
# Without BOOLEAN: DuckDB takes yes and no for it, and the rows that are served say "yes".
CSV_TYPES = ["BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"]
NOT_ONE_VALUE = ("list", "struct", "map", "array", "union", "blob")
SECONDS = 10  # that an address has to answer
GLOB = re.compile(r"[*?[]")


def read(source: str, missing: tuple[str, ...] = ("",), drop: tuple[str, ...] = ()) -> pd.DataFrame:
    """Columns in `drop` may hold what a table cannot: they are not looked at."""
    if source in TOYS:
        return _read_toy(source)
    if "://" in source:
        return _read_remote(source, missing, drop)
    return _read_files(source, _local_files(source), missing, drop)


def _read_toy(name: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = [
        re.sub(r"\W+", "_", str(column).removesuffix(" (cm)")) for column in bunch.feature_names
    ]
    frame = pd.DataFrame(bunch.data, columns=columns)
    return frame.assign(target=[str(bunch.target_names[code]) for code in bunch.target])


def _read_remote(source: str, missing: tuple[str, ...], drop: tuple[str, ...]) -> pd.DataFrame:
    """By way of a copy: not every file system lets DuckDB jump about in a file."""
    with TemporaryDirectory() as folder:
        files = _fetched_files(source, Path(folder))
        try:
            return _read_files(source, files, missing, drop)
        except InputError as error:
            address = source.split("://")[0] + "://"
            raise InputError(str(error).replace(f"{folder}/", address)) from None


def _read_files(
    source: str, files: list[str], missing: tuple[str, ...], drop: tuple[str, ...]
) -> pd.DataFrame:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false")
    read_csv: Any = connection.read_csv  # its stub leaves out the list of files
    read_parquet: Any = connection.read_parquet
    parts = len(files) > 1  # whose folders may be named year=2024
    try:
        if _is_parquet(files[0]):
            names = _parquet_names(files[0], connection)
            relation = read_parquet(files, hive_partitioning=parts)
        else:
            names, dialect = csv_dialect.of(files)
            relation = read_csv(
                files,
                sample_size=-1,
                na_values=list(missing) or [""],
                header=True,
                hive_partitioning=parts,
                auto_type_candidates=CSV_TYPES,
                **dialect,
            )
        _refuse_repeated_columns(source, names)
        names += relation.columns[len(names) :]  # a partition's, from the folders' names
        _refuse_nested_columns(source, names, relation, drop)
        # DuckDB renames columns that differ in case only.
        return pd.DataFrame(relation.df().set_axis(names, axis="columns"))
    except (duckdb.Error, OSError) as error:
        reason = csv_dialect.misfit(files) if "sniffing" in str(error) else _reason(error)
        raise InputError(f"{source} cannot be read as {_expected(files[0])}: {reason}") from None


def _is_parquet(file: str) -> bool:
    return file.endswith((".parquet", ".pq"))


def _expected(file: str) -> str:
    if _is_parquet(file):
        return "Parquet, as its name says"
    return "CSV with a header line (a Parquet file's name ends in .parquet)"


def _reason(error: Exception) -> str:
    text = re.split(r"\n\s*(?:Possible|file =)|\nLINE 1", str(error))[0]
    return " ".join(text.split())[:300]


def _local_files(source: str) -> list[str]:
    root = Path(source).anchor
    try:
        paths = [Path(source)]
        if GLOB.search(source):
            paths = sorted(Path(root or ".").glob(source.removeprefix(root)))
        sizes = {str(path): path.stat().st_size for path in paths if path.is_file()}
    except (OSError, ValueError) as error:
        raise InputError(f"'{source}' (data.source) is no path: {error}") from None
    return _filled_files(source, sizes)


def _filled_files(source: str, sizes: dict[str, int]) -> list[str]:
    if not sizes:
        hint = nearest(source, TOYS) if re.fullmatch(r"\w+", source) else "is the path right?"
        raise InputError(f"No file at '{source}' (data.source); {hint}")
    for file, size in sizes.items():
        if not size:
            raise InputError(f"{file} is empty; expected a header and rows")
    return list(sizes)


def _fetched_files(source: str, folder: Path) -> list[str]:
    import fsspec

    protocol = source.split("://")[0]
    try:
        system = fsspec.filesystem(protocol, **_patience(protocol))
        found = sorted(system.glob(source)) if "*" in source else [source]
        return _filled_files(source, {_fetched(system, path, folder): 1 for path in found})
    except InputError:
        raise
    except Exception as error:  # each file system raises errors of its own
        raise InputError(
            f"'{source}' (data.source) does not answer: {_refusal(error)}; is the address right?"
        ) from None


def _refusal(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, TimeoutError):
        return f"silent for {SECONDS} seconds"
    return str(error) or type(error).__name__


def _fetched(system: Any, address: str, folder: Path) -> str:
    """Under the same folders, whose names may be a partition's."""
    name = address.split("://")[-1].split("?")[0].replace("..", "_").strip("/")
    copy = folder / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    system.get_file(address, str(copy))
    _filled_files(address, {address: copy.stat().st_size})
    return str(copy)


def _patience(protocol: str) -> dict[str, Any]:
    """fsspec would wait for five minutes."""
    if protocol not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=SECONDS, sock_read=SECONDS)
    return {"client_kwargs": {"timeout": timeout}}


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
