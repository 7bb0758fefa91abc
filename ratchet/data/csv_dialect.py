"""The names in a CSV's header line, and how its values are set apart.

Read here because DuckDB guesses: it skips lines that do not fit the ones below, header included.
"""

import codecs
import csv
import io
import zlib
from typing import Any

from ratchet.errors import InputError

SEPARATORS = ",;\t|"
HEAD = 1 << 20  # bytes of a file in which its header must end


def of(files: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The names, and DuckDB's options. Every file must have the same header."""
    names, separator = _header(files[0])
    for file in files[1:]:
        others, _ = _header(file)
        if others != names:
            raise InputError(
                f"{file} has the columns {', '.join(others)}; expected those of {files[0]}:"
                f" {', '.join(names)}"
            )
    if not names:
        raise InputError(f"{files[0]} begins with an empty line; expected a header")
    return names, {"sep": separator, "quotechar": '"', "escapechar": '"', "skiprows": 0}


def misfit(files: list[str]) -> str:
    """The first line with more or fewer values than the header has names, near the top."""
    for file in files:
        text = _head(file)
        names, separator = _header(file)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for row in rows:
            if row and len(row) != len(names):
                return f"line {rows.line_num} has {len(row)} values, expected {len(names)}"
    return "quotes that do not close, or lines of different lengths"


def _header(file: str) -> tuple[list[str], str]:
    text = _head(file)
    rows = {mark: _first_row(file, text, mark) for mark in SEPARATORS}
    separator = max(SEPARATORS, key=lambda mark: len(rows[mark]))
    return rows[separator], separator


def _first_row(file: str, text: str, separator: str) -> list[str]:
    try:
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    except csv.Error as error:
        raise InputError(f"{file} has no header that can be read: {error}") from None
    return [name.strip() for name in row]


def _head(file: str) -> str:
    import fsspec

    compression = "gzip" if file.endswith(".gz") else None
    try:
        with fsspec.open(file, "rb", compression=compression) as stream:
            head: bytes = stream.read(HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be opened: {error}") from None
    if b"\0" in head:
        raise InputError(f"{file} is not CSV: it holds bytes that are no text; is its name right?")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file} is not text in UTF-8 (byte {error.start}); save it as UTF-8"
        ) from None
