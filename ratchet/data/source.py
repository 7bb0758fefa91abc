"""A whole source as a query: a data set by name, a file, several files, or an address."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from ratchet.data.files import TOYS, fetched_files, local_files, unzipped
from ratchet.errors import InputError
from ratchet.settings import DataSettings

if TYPE_CHECKING:
    import duckdb


BATCH = 100_000  # rows
# The types of DuckDB that become the same pandas types, whether Arrow comes between or not.
SAME_IN_ARROW = {
    *("BIGINT", "INTEGER", "DOUBLE", "VARCHAR", "BOOLEAN", "DATE"),
    *("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}


@dataclass(frozen=True)
class Rows:
    """A query of a whole source; nothing is in memory before its rows are asked for."""

    relation: "duckdb.DuckDBPyRelation"
    names: list[str]  # as the source has them; DuckDB renames those that differ in case only

    @cached_property
    def types(self) -> list[str]:
        return [str(kind) for kind in self.relation.types]


def read(settings: DataSettings) -> pd.DataFrame:
    numbers = [name for name, kind in settings.kinds.items() if kind == "numeric"]
    with opened(settings.source, settings, numbers=numbers) as rows:
        frame = _frame(rows) if set(rows.types) <= SAME_IN_ARROW else rows.relation.df()
        return pd.DataFrame(frame.set_axis(rows.names, axis="columns"))


def _frame(rows: Rows) -> pd.DataFrame:
    """Read by way of Arrow, in batches: DuckDB's own conversion takes half as much memory again."""
    table = rows.relation.to_arrow_reader(BATCH).read_all()
    frame: pd.DataFrame = table.to_pandas(
        date_as_object=False, split_blocks=True, self_destruct=True
    )
    return frame


@contextmanager
def opened(
    source: str,
    settings: DataSettings,
    setting: str = "data.source",
    detected: Collection[str] | None = None,
    numbers: Collection[str] = (),
    connection: "duckdb.DuckDBPyConnection | None" = None,
    one_of_several: bool = False,
) -> Iterator[Rows]:
    """Open a source. DuckDB reads only when rows are requested, so an error may come late.

    `setting` is the key or parameter that named the source. `detected` are the columns of a CSV
    whose type is detected, which reads the file once more; the others stay text, and None detects
    all. `numbers` are the columns that are known to hold numbers. The files of a source are either
    opened together, or one by one with `one_of_several`: their folders may name a partition.
    """
    from ratchet.data.formats import relation_of

    if source in TOYS:
        yield of_frame(_read_toy(source))
        return
    connection = connection or connect()
    with TemporaryDirectory() as name:
        folder, address = Path(name), ""
        try:
            if "://" in source:  # DuckDB reads a copy: not every file system can seek
                address = source.split("://")[0] + "://"
                files = fetched_files(source, folder, setting)
            else:
                files = local_files(source, setting)
            files = unzipped(files, folder)
            partitioned = one_of_several or len(files) > 1
            with relation_of(
                source, files, settings, detected, numbers, connection, folder, partitioned
            ) as (relation, names):
                yield Rows(relation, names)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", address)) from None


def of_frame(frame: pd.DataFrame, connection: "duckdb.DuckDBPyConnection | None" = None) -> Rows:
    import pyarrow

    names = list(map(str, frame.columns))
    try:
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    except pyarrow.ArrowException:  # a column that mixes numbers, texts or dates
        frame = frame.copy(deep=False)
        for name in filter(lambda name: pd.api.types.is_object_dtype(frame[name]), frame):
            frame[name] = frame[name].map(str, na_action="ignore")
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    return Rows((connection or connect()).from_arrow(table), names)


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
