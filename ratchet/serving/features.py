"""What a request must hold, by the model's signature: decoded and checked in one pass."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from ratchet.columns import Column, ColumnType

encode = msgspec.json.Encoder().encode

Class = bool | int | str
MOST_ROWS = 10_000
LONGEST_USER_ID = 256
LONGEST_SHOWN = 80
LARGEST = 3.4e38  # what scikit-learn's trees take; a larger number overflows on its way to a sum

EXPECTED: Mapping[ColumnType, str] = {
    "double": f"a number between {-LARGEST:g} and {LARGEST:g}, or null",
    "boolean": "true, false or null",
    "datetime": "a date or time in ISO 8601, or null",
    "string": "a text or null",
}
Number = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
TYPES: Mapping[ColumnType, Any] = {
    "double": Number | None,
    "boolean": bool | None,
    "datetime": str | None,
    "string": str | None,
}
A_USER_ID = f"a text of 1 to {LONGEST_USER_ID} characters, none of them NUL"
A_CLASS = {str: "a text", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True)
class Asked:
    """The rows of a request, column by column: a thousand rows are four lists."""

    users: Sequence[str]
    values: Sequence[tuple[Any, ...]]  # in the order of the columns; a date as datetime in UTC
    features: Sequence[str]  # as JSON, for the log
    labels: Sequence[Class | None]


class BadRequestError(Exception):
    def __init__(self, message: str, field: str = "", value: object = None, expected: str = ""):
        super().__init__(message)
        self.field, self.value, self.expected = field, value, expected


class Inputs:
    """Reads request bodies: one object with user_id and features, or a list of them."""

    def __init__(self, columns: Sequence[Column], class_type: type) -> None:
        self.columns, self.class_type = tuple(columns), class_type
        fields = [(f"f{i}", TYPES[column.type]) for i, column in enumerate(columns)]
        names = {f"f{i}": column.name for i, column in enumerate(columns)}
        features = msgspec.defstruct(
            "Features", fields, rename=names, forbid_unknown_fields=True, gc=False
        )
        user_id = Annotated[
            str, msgspec.Meta(min_length=1, max_length=LONGEST_USER_ID, pattern="^[^\0]*$")
        ]
        request = msgspec.defstruct(
            "Request",
            [("user_id", user_id), ("features", features), ("label", class_type | None, None)],
            forbid_unknown_fields=True,
        )
        self._decode = msgspec.json.Decoder(request | list[request]).decode  # type: ignore[valid-type]
        self._dates = [i for i, column in enumerate(columns) if column.type == "datetime"]

    def read(self, body: bytes) -> tuple[Asked, bool]:
        """The rows, and whether they came as a list."""
        try:
            decoded = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._explained(body, error) from None
        listed = isinstance(decoded, list)
        rows = decoded if listed else [decoded]
        if not 0 < len(rows) <= MOST_ROWS:
            raise BadRequestError(f"{len(rows)} rows; expected 1 to {MOST_ROWS} in one request")
        features = [row.features for row in rows]
        values = list(map(msgspec.structs.astuple, features))
        if self._dates:
            places = range(len(rows)) if listed else [""]
            values = list(map(self._with_instants, values, places))
        users, labels = [row.user_id for row in rows], [row.label for row in rows]
        texts = [encode(one).decode() for one in features]
        return Asked(users, values, texts, labels), listed

    def _with_instants(self, values: tuple[Any, ...], position: int | str) -> tuple[Any, ...]:
        changed = list(values)
        for i in self._dates:
            if changed[i] is not None:
                try:
                    changed[i] = instant(changed[i])
                except (ValueError, OverflowError):
                    where = f"{_prefix(position)}features.{self.columns[i].name}"
                    raise _bad(where, values[i], EXPECTED["datetime"]) from None
        return tuple(changed)

    def _explained(self, body: bytes, error: Exception) -> BadRequestError:
        """The first fault, with its place and its value, which the fast decoder does not tell."""
        try:
            content = json.loads(body)  # takes NaN and Infinity, so they can be named
        except (ValueError, RecursionError) as why:
            return BadRequestError(f"The body is no JSON: {why}")
        rows = content if isinstance(content, list) else [content]
        for position, row in enumerate(rows):
            prefix = _prefix(position) if isinstance(content, list) else ""
            for fault in self._faults(row, prefix):
                return fault
        return BadRequestError(f"The body is no request: {error}")

    def _faults(self, row: object, prefix: str) -> Iterator[BadRequestError]:
        if not isinstance(row, dict):
            yield _bad(prefix.rstrip(".") or "body", row, "an object with user_id and features")
            return
        yield from _key_faults(row, ("user_id", "features"), ("label",), prefix)
        if not _is_user_id(row["user_id"]):
            yield _bad(f"{prefix}user_id", row["user_id"], A_USER_ID)
        label = row.get("label")
        if label is not None and type(label) is not self.class_type:
            yield _bad(f"{prefix}label", label, A_CLASS[self.class_type])
        yield from self._feature_faults(row["features"], f"{prefix}features")

    def _feature_faults(self, features: object, where: str) -> Iterator[BadRequestError]:
        if not isinstance(features, dict):
            yield _bad(where, features, "an object with a value for each feature")
            return
        yield from _key_faults(features, [c.name for c in self.columns], (), f"{where}.")
        for name, kind in self.columns:
            if not CHECKS[kind](features[name]):
                yield _bad(f"{where}.{name}", features[name], EXPECTED[kind])


def instant(text: str) -> datetime:
    """In UTC, without a zone: as the models were trained.

    >>> instant("2024-03-01T12:00:00+02:00")
    datetime.datetime(2024, 3, 1, 10, 0)
    """
    parsed = datetime.fromisoformat(text)
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed


def _key_faults(
    found: Mapping[str, object], needed: Sequence[str], optional: Sequence[str], prefix: str
) -> Iterator[BadRequestError]:
    for name in needed:
        if name not in found:
            yield BadRequestError(f"{prefix}{name} is missing", f"{prefix}{name}", None, "a value")
    for name in found:
        if name not in needed and name not in optional:
            known = ", ".join((*needed, *optional))
            yield BadRequestError(
                f"{prefix}{_shown(name)} is unknown; known: {known}", f"{prefix}{name}",
                found[name], "no such field",
            )  # fmt: skip


def _is_number(value: object) -> bool:
    if type(value) not in (int, float):
        return value is None
    return bool(abs(value) <= LARGEST)  # type: ignore[arg-type]  # NaN is not


def _is_instant(value: object) -> bool:
    try:
        return value is None or (isinstance(value, str) and bool(instant(value)))
    except (ValueError, OverflowError):
        return False


def _is_user_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_USER_ID and "\0" not in value


CHECKS: Mapping[ColumnType, Callable[[object], bool]] = {
    "double": _is_number,
    "boolean": lambda value: value is None or isinstance(value, bool),
    "datetime": _is_instant,
    "string": lambda value: value is None or isinstance(value, str),
}


def _bad(field: str, value: object, expected: str) -> BadRequestError:
    return BadRequestError(
        f"{field} is {_shown(value)}; expected {expected}", field, value, expected
    )


def _prefix(position: int | str) -> str:
    return "" if position == "" else f"[{position}]."


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
