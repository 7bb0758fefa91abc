"""The functions that a worker of a cluster runs for a drift check.

They return an input error instead of raising it, because a cluster wraps what is raised in traces.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

from ratchet.data.source import opened
from ratchet.errors import InputError
from ratchet.profile.profile import Profile
from ratchet.profile.reading import Part, frugal_connection, read_part
from ratchet.settings import DataSettings

FileStart = tuple[str, int]  # a file, and the number of rows in the files before it


def rows_in(files: Sequence[str], parameter: str = "current") -> list[int] | InputError:
    try:
        return [_rows_in_footer(file, parameter) for file in files]
    except InputError as error:
        return error


def read_files(
    files: Sequence[FileStart], settings: DataSettings, reference: Profile, several: bool
) -> Part | InputError:
    """Read files one by one. If `several` is true, folder names may hold partition columns."""
    try:
        return reduce(add, (_read_file(*file, settings, reference, several) for file in files))
    except InputError as error:
        return error


def _rows_in_footer(file: str, parameter: str) -> int:
    import fsspec
    import pyarrow
    from pyarrow.parquet import read_metadata

    try:
        with fsspec.open(file) as opened_file:
            return int(read_metadata(opened_file).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{file} ({parameter}) cannot be read by a worker: {error}; does every worker reach it?"
        ) from None


def _read_file(
    file: str, rows_before: int, settings: DataSettings, reference: Profile, several: bool
) -> Part:
    connection = frugal_connection()
    with opened(file, settings, "current", connection=connection, one_of_several=several) as rows:
        return read_part(rows, file, settings, reference, rows_before)
