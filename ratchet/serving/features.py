"""The rows of a request, decoded and checked against the model's signature in one pass.

msgspec decodes and checks. If it refuses a body, a second check finds the field and the value to
name: msgspec's own message has no value, and NaN is to msgspec a fault of the whole body.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from ratchet.columns import MAX_NUMBER, Column, ColumnType, parse_date
from ratchet.serving.requests import BadRequestError

encode = msgspec.json.Encoder().encode

Class = bool | int | str
MAX_ROWS = 10_000
MAX_USER_ID = 256
MAX_VALUE = 80  # characters of a value or a name in an error
MAX_EXPLAINED = 256 * 1024  # bytes of a body that is read a second time

EXPECTED: Mapping[ColumnType, str] = {
    "double": f"a number between {-MAX_NUMBER:g} and {MAX_NUMBER:g}, or null",
    "boolean": "true, false or null",
    "datetime": "a date or time in ISO 8601, or null",
    "string": "a text or null",
}
Number = Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
TYPES: Mapping[ColumnType, Any] = {
    "double": Number | None,
    "boolean": bool | None,
    "datetime": str | None,
    "string": str | None,
}
USER_ID = f"a text of 1 to {MAX_USER_ID} characters, none of them NUL"


@dataclass(frozen=True)
class RequestRows:
    """The rows of a request, column by column: a thousand rows are four lists."""

    users: Sequence[str]
    values: Sequence[tuple[Any, ...]]  # in the order of the columns; a date as datetime in UTC
    features: Sequence[str]  # as JSON, for the log
    labels: Sequence[Class | None]


class Inputs:
    """The reader of request bodies: one object with user_id and features, or a list of them."""

    def __init__(self, columns: Sequence[Column], classes: Sequence[Class]) -> None:
        self.columns, self.classes = tuple(columns), frozenset(classes)
        self.class_type = type(classes[0])
        self.class_names = f"one of the model's classes: {_shortened(', '.join(map(str, classes)))}"
        fields = [(f"f{i}", TYPES[column.type]) for i, column in enumerate(columns)]
        names = {f"f{i}": column.name for i, column in enumerate(columns)}
        features = msgspec.defstruct(
            "Features", fields, rename=names, forbid_unknown_fields=True, gc=False
        )
        user_id = Annotated[
            str, msgspec.Meta(min_length=1, max_length=MAX_USER_ID, pattern="^[^\0]*$")
        ]
        request = msgspec.defstruct(
            "Request",
            [("user_id", user_id), ("features", features), ("label", self.class_type | None, None)],
            forbid_unknown_fields=True,
        )
        self._decode = msgspec.json.Decoder(request | list[request]).decode  # type: ignore[valid-type]
        self._dates = [i for i, column in enumerate(columns) if column.type == "datetime"]

    def read(self, body: bytes) -> tuple[RequestRows, bool]:
        """Return the rows, and whether the body is a list."""
        try:
            decoded = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._explained(body, error) from None
        listed = isinstance(decoded, list)
        rows = decoded if listed else [decoded]
        if not 0 < len(rows) <= MAX_ROWS:
            expected = f"1 to {MAX_ROWS} rows in one request"
            message = f"The body has {len(rows)} rows; expected {expected}"
            raise BadRequestError(message, "body", len(rows), expected)
        features = [row.features for row in rows]
        values = list(map(msgspec.structs.astuple, features))
        if self._dates:
            places = range(len(rows)) if listed else [""]
            values = list(map(self._with_dates, values, places))
        users, labels = [row.user_id for row in rows], [row.label for row in rows]
        for row, label in enumerate(labels):
            if label is not None:
                self.check_label(label, f"{_prefix(row) if listed else ''}label")
        texts = [encode(one).decode() for one in features]
        return RequestRows(users, values, texts, labels), listed

    def check_label(self, label: Class, field: str) -> None:
        """Raise if the label is not a class: a misspelt one would count as a wrong answer."""
        if type(label) is not self.class_type or label not in self.classes:
            raise _bad(field, label, self.class_names)

    def _with_dates(self, values: tuple[Any, ...], position: int | str) -> tuple[Any, ...]:
        changed = list(values)
        for i in self._dates:
            if changed[i] is not None:
                try:
                    changed[i] = parse_date(changed[i])
                except (ValueError, OverflowError):
                    where = f"{_prefix(position)}features.{self.columns[i].name}"
                    raise _bad(where, values[i], EXPECTED["datetime"]) from None
        return tuple(changed)

    def _explained(self, body: bytes, error: Exception) -> BadRequestError:
        """Return an error that names the first fault's field and value.

        To read a large body that is wrong takes seconds, so there msgspec's message has to do.
        """
        if len(body) > MAX_EXPLAINED:
            field = str(error).rpartition("`$")[2].rstrip("`").lstrip(".")[:MAX_VALUE]
            is_json = isinstance(error, msgspec.ValidationError)
            return BadRequestError(str(error)[:300], (field or "body") if is_json else "")
        try:
            content = json.loads(body)  # takes NaN and Infinity, so they can be named
        except (ValueError, RecursionError) as why:
            return BadRequestError(f"The body is not JSON: {why}")
        rows = content if isinstance(content, list) else [content]
        for position, row in enumerate(rows):
            prefix = _prefix(position) if isinstance(content, list) else ""
            for fault in self._faults(row, prefix):
                return fault
        return BadRequestError(f"The body is not a request: {error}")

    def _faults(self, row: object, prefix: str) -> Iterator[BadRequestError]:
        if not isinstance(row, dict):
            yield _bad(prefix.rstrip(".") or "body", row, "an object with user_id and features")
            return
        yield from _key_faults(row, ("user_id", "features"), ("label",), prefix)
        if not _is_user_id(row["user_id"]):
            yield _bad(f"{prefix}user_id", row["user_id"], USER_ID)
        label = row.get("label")
        if label is not None and type(label) is not self.class_type:
            yield _bad(f"{prefix}label", label, self.class_names)
        yield from self._feature_faults(row["features"], f"{prefix}features")

    def _feature_faults(self, features: object, where: str) -> Iterator[BadRequestError]:
        if not isinstance(features, dict):
            yield _bad(where, features, "an object with a value for each feature")
            return
        yield from _key_faults(features, [c.name for c in self.columns], (), f"{where}.")
        for name, kind in self.columns:
            if not CHECKS[kind](features[name]):
                yield _bad(f"{where}.{name}", features[name], EXPECTED[kind])


def _key_faults(
    content: Mapping[str, object], required: Sequence[str], optional: Sequence[str], prefix: str
) -> Iterator[BadRequestError]:
    for name in required:
        if name not in content:
            yield BadRequestError(f"{prefix}{name} is missing", f"{prefix}{name}", None, "a value")
    for name in content:
        if name not in required and name not in optional:
            known = ", ".join((*required, *optional))
            field = f"{prefix}{_shortened(name)}"
            message = f"{field} is unknown; known: {_shortened(known, 1000)}"
            yield BadRequestError(message, field, content[name], "no such field")


def _is_number(value: object) -> bool:
    if type(value) not in (int, float):
        return value is None
    return bool(abs(value) <= MAX_NUMBER)  # type: ignore[arg-type]  # NaN is not


def _is_date(value: object) -> bool:
    try:
        return value is None or (isinstance(value, str) and bool(parse_date(value)))
    except (ValueError, OverflowError):
        return False


def _is_user_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_USER_ID and "\0" not in value


CHECKS: Mapping[ColumnType, Callable[[object], bool]] = {
    "double": _is_number,
    "boolean": lambda value: value is None or isinstance(value, bool),
    "datetime": _is_date,
    "string": lambda value: value is None or isinstance(value, str),
}


def _bad(field: str, value: object, expected: str) -> BadRequestError:
    text = value if isinstance(value, str) else _as_text(value)
    message = f"{field} is {_shortened(text)}; expected {expected}"
    return BadRequestError(message, field, value, expected)


def bad_feature(name: str, value: object, expected: str, row: int | str) -> BadRequestError:
    """Return an error that names a feature; `row` is its place in a list, or empty."""
    shown = value.isoformat() if isinstance(value, datetime) else value
    return _bad(f"{_prefix(row)}features.{name}", shown, expected)


def _as_text(value: object) -> str:
    """Return the value as JSON, but of an array or object only what it is: it may be deep."""
    if isinstance(value, list | dict):
        return "an array" if isinstance(value, list) else "an object"
    return json.dumps(value)


def _prefix(position: int | str) -> str:
    return "" if position == "" else f"[{position}]."


def _shortened(text: str, most: int = MAX_VALUE) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
