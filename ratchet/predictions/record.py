"""The contents of the log: a record per request, and later its label and its shadow answer."""

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeGuard


class Record(NamedTuple):
    """One answered request: a row of `predictions`, column by column.

    Features, prediction, probabilities and label are JSON text, so that a text, a number and a
    boolean stay different classes.
    """

    request_id: str  # from new_request_id(time); it contains the time, and windows are found by it
    time: float  # seconds since 1970
    user_id: str
    arm: str  # the arm that answered: A or B
    model: str
    model_version: str  # the version that answered
    prod_version: str  # with staging_version: the A/B test that this request belongs to
    staging_version: str | None
    assigned_arm: str  # B also if prod answered because staging failed
    split: float  # the probability of arm B at that moment
    features: str
    prediction: str
    probabilities: str | None
    latency_ms: float
    error: str | None = None  # the error of arm B
    fallback: bool = False  # arm A answered for arm B
    label: str | None = None
    label_time: float | None = None
    shadow_version: str | None = None
    shadow_prediction: str | None = None
    shadow_probabilities: str | None = None
    shadow_error: str | None = None


class Label(NamedTuple):
    request_id: str
    label: str  # JSON text
    time: float


class Shadow(NamedTuple):
    """The answer of the version that the user was not shown."""

    request_id: str
    version: str
    prediction: str | None
    probabilities: str | None
    error: str | None = None


Item = Record | Label | Shadow
Work = Sequence[Item]  # all of one type

LabelOutcome = Literal["set", "same", "conflict", "unknown", "kept"]
# kept: PostgreSQL is away and this machine's journal has no such request; checked once it is back


class LabelResult(NamedTuple):
    """The outcome of a label, and the answer it is about if that is known."""

    outcome: LabelOutcome
    arm: str | None = None
    model_version: str | None = None
    is_right: bool | None = None


UUID_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}  # RFC 9562


def are_labels(work: Work) -> TypeGuard[Sequence[Label]]:
    return all(isinstance(item, Label) for item in work)


def json_text(value: Any) -> str:
    """
    >>> json_text({"setosa": 0.5, "é": None})
    '{"setosa":0.5,"é":null}'
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def new_request_id(at: float | None = None) -> str:
    return new_request_ids(time.time() if at is None else at, 1)[0]


def new_request_ids(at: float, count: int) -> list[str]:
    """Return UUIDv7s (RFC 9562), which sort by time. Python 3.14 is the first that has them.

    The fraction of the millisecond follows the milliseconds, so one process's ids sort by time.
    """
    milliseconds, rest = divmod(round(at * 1e6), 1000)
    head = f"{milliseconds:012x}7{(rest << 12) // 1000:03x}"
    head = f"{head[:8]}-{head[8:12]}-{head[12:]}-"
    digits = secrets.token_hex(8 * count)
    tails = (digits[at : at + 16] for at in range(0, len(digits), 16))
    return [f"{head}{UUID_VARIANT[tail[0]]}{tail[1:4]}-{tail[4:]}" for tail in tails]


def first_request_id(at: float) -> str:
    """Return an id that sorts before every id of that millisecond."""
    text = f"{int(at * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def time_of(request_id: str) -> float:
    """
    >>> time_of(new_request_id(1700000000.123))
    1700000000.123
    """
    return int(request_id.replace("-", "")[:12], 16) / 1000
