"""What the log holds of a request, and what comes later: its label and its shadow."""

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeGuard


class Record(NamedTuple):
    """One answered request: a row of `predictions`, column by column.

    Features, prediction, probabilities and label are JSON text, so a class that is a text, a
    number or a truth value stays one.
    """

    request_id: str  # from new_request_id(time): it carries the time, and time is searched by it
    time: float  # seconds since 1970
    user_id: str
    arm: str  # that answered: A or B
    model: str
    model_version: str  # that answered
    prod_version: str  # with staging_version: the test this request belongs to
    staging_version: str | None
    assigned_arm: str  # B, where prod answered because staging failed
    split: float  # in force: the probability of arm B
    features: str
    prediction: str
    probabilities: str | None
    latency_ms: float
    error: str | None = None  # of arm B
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
    """What the other version would have answered."""

    request_id: str
    version: str
    prediction: str | None
    probabilities: str | None
    error: str | None = None


VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}  # of RFC 9562

Item = Record | Label | Shadow
Work = Sequence[Item]  # of one kind

LabelOutcome = Literal["set", "same", "conflict", "unknown", "kept"]
# kept: PostgreSQL is away and the request is not in this machine's journal; checked when it is back


def are_labels(work: Work) -> TypeGuard[Sequence[Label]]:
    return all(isinstance(one, Label) for one in work)


def json_text(value: Any) -> str:
    """
    >>> json_text({"setosa": 0.5, "é": None})
    '{"setosa":0.5,"é":null}'
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def new_request_id(at: float | None = None) -> str:
    return new_request_ids(time.time() if at is None else at, 1)[0]


def new_request_ids(at: float, count: int) -> list[str]:
    """UUIDv7 (RFC 9562): time-ordered text. Python has them from 3.14 on.

    The fraction of the millisecond comes after it, so ids of one process sort by time.
    """
    milliseconds, rest = divmod(round(at * 1e6), 1000)
    head = f"{milliseconds:012x}7{(rest << 12) // 1000:03x}"
    head = f"{head[:8]}-{head[8:12]}-{head[12:]}-"
    chance = secrets.token_hex(8 * count)
    tails = (chance[at : at + 16] for at in range(0, len(chance), 16))
    return [f"{head}{VARIANT[tail[0]]}{tail[1:4]}-{tail[4:]}" for tail in tails]


def first_request_id(at: float) -> str:
    """Below every id of that millisecond and later."""
    text = f"{int(at * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def time_of(request_id: str) -> float:
    """
    >>> time_of(new_request_id(1700000000.123))
    1700000000.123
    """
    return int(request_id.replace("-", "")[:12], 16) / 1000
