"""The format of CSV files: header, separator, encoding and how numbers are written.

DuckDB could guess the separator too, but it skips every line that does not fit the lines below it,
even the header. What is guessed here is printed, and can be set under `data.csv`.
"""

import codecs
import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ratchet.errors import InputError
from ratchet.settings import CsvSettings

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = ",;\t|"
NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar", " ": "a space"}
HEAD = 1 << 20  # the format is guessed from the first megabyte of each file
GUESSED_ROWS = 2000
MOSTLY = 0.8  # so many numbers in a column, and the other values are probably mistakes
BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Dialect:
    names: list[str]
    separator: str
    encoding: str
    decimal: str
    thousands: str

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of DuckDB's read_csv."""
        options = {"sep": self.separator, "quotechar": '"', "escapechar": '"', "skiprows": 0}
        return options | ({"decimal": self.decimal} if self.decimal != "." else {})

    @property
    def number_pattern(self) -> str:
        return _number_pattern(self.decimal, self.thousands)

    def guesses(self, settings: CsvSettings) -> list[str]:
        """Return what was guessed and differs from what most files have."""
        guesses = []
        if self.separator != "," and settings.separator is None:
            guesses.append(f"{_name(self.separator)} separates the values")
        if self.encoding != "utf-8" and settings.encoding is None:
            guesses.append(f"the encoding is {self.encoding}")
        if self.decimal != "." and settings.decimal is None:
            guesses.append("numbers have a decimal comma")
        if self.thousands and settings.thousands is None:
            guesses.append(f"{_name(self.thousands)} separates thousands")
        return guesses


def _name(character: str) -> str:
    return NAMES.get(character, repr(character))


def dialect_of(files: list[str], settings: CsvSettings, missing: Sequence[str]) -> Dialect:
    """Return the format that all files have; raise InputError if their headers differ."""
    encoding = settings.encoding or _encoding(files)
    head = _head(files[0], encoding)
    separator = settings.separator or _separator(head)
    names = _header(files[0], head, separator)
    for file in files[1:]:
        require_same_header(file, _header(file, _head(file, encoding), separator), files[0], names)
    if not names:
        raise InputError(f"{files[0]} begins with an empty line; expected a header")
    decimal, thousands = _number_format(_rows(head, separator), separator, settings, set(missing))
    return Dialect(names, separator, encoding, decimal, thousands)


def require_same_header(file: str, names: list[str], first: str, expected: list[str]) -> None:
    if names != expected:
        raise InputError(
            f"{file} has the columns {', '.join(names)}; expected those of {first}:"
            f" {', '.join(expected)}"
        )


def as_utf8(file: str, encoding: str, folder: Path) -> str:
    """Return the path of a copy in UTF-8, the only encoding that DuckDB reads in full."""
    copy = folder / "utf-8" / Path(file).relative_to(Path(file).anchor).with_suffix(".csv")
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _opened(file) as stream, copy.open("w", encoding="utf-8", newline="") as target:
            reader = codecs.getreader(encoding)(stream)
            while text := reader.read(HEAD):
                target.write(text)
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_text(file, encoding, error) from None
    return str(copy)


def misfit(files: list[str], dialect: Dialect) -> str:
    """Return the first line, near the top of a file, with more or fewer values than the header."""
    for file in files:
        reader = _reader(_head(file, dialect.encoding), dialect.separator)
        for row in reader:
            if row and len(row) != len(dialect.names):
                expected = len(dialect.names)
                found = f"line {reader.line_num} has {len(row)} values, expected {expected}"
                return found if expected > 1 else f"{found}. Delete the lines above the header"
    return "quotes that do not close, or lines of different lengths"


def _separator(head: str) -> str:
    """Return the separator of the longest header, of those that fit the most rows."""
    lengths = {mark: [len(row) for row in _rows(head, mark)] for mark in SEPARATORS}
    split = {mark: counts for mark, counts in lengths.items() if counts and counts[0] > 1}
    if not split:
        return ","
    return max(split, key=lambda mark: (_share_of_first(split[mark]) > 0.9, split[mark][0]))


def _share_of_first(lengths: list[int]) -> float:
    return lengths.count(lengths[0]) / len(lengths)


def _reader(text: str, separator: str) -> "Reader":
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _header(file: str, head: str, separator: str) -> list[str]:
    try:
        row = next(_reader(head, separator), [])
    except csv.Error as error:
        raise InputError(
            f"{file} does not begin with a header that can be read: {error}. Is it CSV?"
        ) from None
    names = [name.strip() for name in row]
    return [name or f"unnamed_{place}" for place, name in enumerate(names, 1)] if row else []


def _rows(head: str, separator: str) -> list[list[str]]:
    """Return the first rows, without blank lines."""
    rows: list[list[str]] = []
    with suppress(csv.Error):  # a value longer than the csv module takes
        rows.extend(islice(filter(None, _reader(head, separator)), GUESSED_ROWS + 1))
    return rows


def _number_format(
    rows: list[list[str]], separator: str, settings: CsvSettings, missing: set[str]
) -> tuple[str, str]:
    """Return the decimal sign, and the sign between thousands, that make most columns numbers."""
    decimals = [settings.decimal] if settings.decimal else [".", ","]
    thousands = [settings.thousands] if settings.thousands is not None else ["", ",", "."]
    formats = [(one, other) for one in decimals for other in thousands if one != other]
    if separator != ",":  # "1,234" is then more likely a decimal comma than a thousand
        formats.sort(key=lambda pair: pair == (".", ","))
    columns = [
        present
        for column in zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True)
        if (present := {value.strip() for value in column} - missing - {""})
    ]
    with_comma = [column for column in columns if any("," in value for value in column)]
    if not with_comma:
        return formats[0]

    def number_columns(pair: tuple[str, str]) -> int:
        is_number = re.compile(_number_pattern(*pair)).fullmatch
        shares = [sum(map(bool, map(is_number, column))) / len(column) for column in columns]
        return sum(share >= MOSTLY for share in shares)

    return max(formats, key=number_columns)


def _number_pattern(decimal: str, thousands: str) -> str:
    point, between = re.escape(decimal), re.escape(thousands)
    plain = rf"[-+]?(\d+({point}\d*)?|{point}\d+)([eE][-+]?\d+)?"
    grouped = rf"[-+]?\d{{1,3}}({between}\d{{3}})+({point}\d+)?"
    return rf"\s*({plain}|{grouped})\s*" if thousands else rf"\s*{plain}\s*"


def _encoding(files: list[str]) -> str:
    """Return utf-8 if all bytes of all files are, and else the code page of Western Windows."""
    for file in files:
        with _opened(file) as stream:
            first: bytes = stream.read(HEAD)
            if first[:2] in BYTE_ORDER_MARKS:
                return BYTE_ORDER_MARKS[first[:2]]
            if b"\0" in first:
                raise InputError(
                    f"{file} is not CSV: it holds bytes that are not text; is its name right?"
                )
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                decoder.decode(first)
                while more := stream.read(HEAD):
                    decoder.decode(more)
            except UnicodeDecodeError:
                return _single_byte_encoding(first)
    return "utf-8"


def _single_byte_encoding(first: bytes) -> str:
    try:
        first.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _head(file: str, encoding: str) -> str:
    with _opened(file) as stream:
        head: bytes = stream.read(HEAD)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except (UnicodeDecodeError, LookupError) as error:
        raise _not_text(file, encoding, error) from None
    if len(head) == HEAD:  # the last line may be cut off
        text = text[: text.rfind("\n") + 1] or text
    return text.removeprefix("\ufeff")


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    import fsspec

    try:
        compression = "gzip" if file.endswith(".gz") else None
        with fsspec.open(file, "rb", compression=compression) as stream:
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file} cannot be opened: {error}") from None


def _not_text(file: str, encoding: str, error: Exception) -> InputError:
    return InputError(
        f"{file} cannot be read as text in {encoding}: {error}. Set data.csv.encoding, or save the"
        " file as UTF-8"
    )
