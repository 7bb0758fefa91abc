"""The check that the prediction log contains exactly what a client sent and received."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.predictions.csv_export import csv_pages
from ratchet.predictions.exports import open_service_log
from ratchet.predictions.record import time_of
from ratchet.predictions.window import Window
from ratchet.traffic.sending import OUTCOMES_KEPT, Sent

EXAMPLES = 5


@dataclass(frozen=True)
class Agreement:
    """The numbers of requests that the log contains correctly, not at all, twice, or wrongly."""

    compared: int  # requests that this client sent and the service answered
    missing: int  # answered, but not in the log
    twice: int
    different: int  # in the log with other values
    others: int  # in the log, but sent by other clients at the same time
    examples: list[str]  # sentences about some missing or different requests

    @property
    def holds(self) -> bool:
        return not (self.missing or self.twice or self.different)


def compare(
    sent: Sequence[Sent],
    lines: Iterable[Mapping[str, str]],
    logged_user: Callable[[str], str | None] = str,
) -> Agreement:
    """Compare the answered requests with the rows of the log's CSV.

    `logged_user` returns the user id in the log for a user, or None if it is not known.
    """
    by_id = {one.answer["request_id"]: one for one in sent}
    seen: set[str] = set()
    twice = others = 0
    differences: list[str] = []
    for line in lines:
        request_id = line["request_id"]
        if request_id not in by_id:
            others += 1
        elif request_id in seen:
            twice += 1
        else:
            seen.add(request_id)
            differences += _differences(by_id[request_id], line, logged_user)[:1]
    missing = [request_id for request_id in by_id if request_id not in seen]
    examples = [f"{request_id} is not in the log" for request_id in missing[:EXAMPLES]]
    return Agreement(
        compared=len(by_id),
        missing=len(missing),
        twice=twice,
        different=len(differences),
        others=others,
        examples=examples + differences[:EXAMPLES],
    )


def log_lines(url: str, log: str, sent: Sequence[Sent]) -> Iterator[Mapping[str, str]]:
    """Yield the rows of the log since the first answer.

    If `log` is "service", they come from /log.csv of the service at `url`. Otherwise `log` is the
    address of the log's database.
    """
    since = min(time_of(one.answer["request_id"]) for one in sent)
    if log != "service":
        yield from csv.DictReader(_text_lines(csv_pages(log, Window(since=since))))
        return
    with open_service_log(f"{url}/log.csv", since=str(since)) as parts:
        yield from csv.DictReader(_text_lines(parts))


def _text_lines(parts: Iterable[str]) -> Iterator[str]:
    """Yield each line with its line end, because a line end in a quoted text is part of a value."""
    rest = ""
    for part in parts:
        *lines, rest = (rest + part).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _differences(
    sent: Sent, line: Mapping[str, str], logged_user: Callable[[str], str | None]
) -> list[str]:
    user = logged_user(sent.request.user_id)
    expected: dict[str, Any] = {
        "user_id": line["user_id"] if user is None else user,
        "variant": sent.answer["variant"],
        "model_version": sent.answer["model_version"],
        "prediction": sent.answer["prediction"],
        "label": sent.label if sent.outcome in OUTCOMES_KEPT else None,
        **sent.request.features,
    }
    return [
        f"{line['request_id']}: {name} is {line.get(name)!r} in the log, expected {value!r}"
        for name, value in expected.items()
        if not _is_same(value, line.get(name))
    ]


def _is_same(value: Any, text: str | None) -> bool:
    if value is None:
        return not text
    if isinstance(value, bool):
        return text == json.dumps(value)
    if isinstance(value, float | int):
        return bool(text) and float(text or "nan") == value
    return text == str(value)
