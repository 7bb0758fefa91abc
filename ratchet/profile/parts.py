"""What a worker of a cluster does for a check: some of the files, one by one.

An error of the input comes back as a value: a cluster would wrap what is raised in traces.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add

from ratchet.data.source import opened
from ratchet.errors import InputError
from ratchet.profile.profile import Profile
from ratchet.profile.reading import Part, frugal, read_part
from ratchet.settings import DataSettings

Place = tuple[str, int]  # a file, and how many rows there are in the files before it


def rows_in(files: Sequence[str]) -> list[int] | InputError:
    """As their footers say."""
    try:
        return [_rows_in(file) for file in files]
    except InputError as error:
        return error


def read_files(
    places: Sequence[Place], settings: DataSettings, reference: Profile, several: bool
) -> Part | InputError:
    """`several`: whether the current data are several files, whose folders may name a partition."""
    try:
        return reduce(add, (_read_file(*place, settings, reference, several) for place in places))
    except InputError as error:
        return error


def _rows_in(file: str) -> int:
    import fsspec
    import pyarrow
    from pyarrow.parquet import read_metadata

    try:
        with fsspec.open(file) as opened_file:
            return int(read_metadata(opened_file).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(
            f"{file} (current) cannot be read by a worker: {error}; does every worker reach it?"
        ) from None


def _read_file(
    file: str, before: int, settings: DataSettings, reference: Profile, several: bool
) -> Part:
    with opened(file, settings.missing, settings.drop, "current", (), frugal(), several) as rows:
        return read_part(rows, file, settings, reference, before)
