"""What was sent and what came back, against the log."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.predictions.record import time_of
from ratchet.traffic.sending import OUTCOMES_KEPT, Sent

EXAMPLES = 5


@dataclass(frozen=True)
class Agreement:
    compared: int
    missing: int  # answered, and not in the log
    twice: int
    different: int  # in the log, with another content
    others: int  # in the log meanwhile, and not from here
    examples: list[str]  # of what is missing, twice or different

    @property
    def holds(self) -> bool:
        return not (self.missing or self.twice or self.different)


def compare(
    sent: Sequence[Sent],
    lines: Iterable[Mapping[str, str]],
    logged_user: Callable[[str], str | None] = str,
) -> Agreement:
    """Lines of the log's CSV. `logged_user`: a user as the log names it, None where we cannot."""
    waiting = {one.answer["request_id"]: one for one in sent}
    seen: set[str] = set()
    twice = others = 0
    differences: list[str] = []
    for line in lines:
        request_id = line["request_id"]
        if request_id not in waiting:
            others += 1
        elif request_id in seen:
            twice += 1
        else:
            seen.add(request_id)
            differences += _differences(waiting[request_id], line, logged_user)[:1]
    missing = [request_id for request_id in waiting if request_id not in seen]
    examples = [f"{request_id} is not in the log" for request_id in missing[:EXAMPLES]]
    return Agreement(
        len(waiting), len(missing), twice, len(differences), others,
        examples + differences[:EXAMPLES],
    )  # fmt: skip


def log_lines(
    url: str, log: str, sent: Sequence[Sent], token: str | None
) -> Iterator[Mapping[str, str]]:
    """From the service's /log.csv, or from the database that `log` addresses.

    Since the first answer by the service's own clock, which its id carries.
    """
    since = min(time_of(one.answer["request_id"]) for one in sent)
    return csv.DictReader(_text_lines(_pages(url, log, since, token)))


def _pages(url: str, log: str, since: float, token: str | None) -> Iterator[str]:
    if log != "service":
        from ratchet.predictions.export import csv_pages
        from ratchet.predictions.reading import Window

        yield from csv_pages(log, Window(since=since))
        return
    import httpx

    headers = {"Authorization": f"Bearer {token}"}
    with httpx.stream(
        "GET", f"{url}/log.csv", params={"since": str(since)}, headers=headers, timeout=60
    ) as reply:
        if reply.status_code != 200:
            raise InputError(
                f"{url}/log.csv answered {reply.status_code}; is RATCHET_ADMIN_TOKEN the service's?"
            )
        yield from reply.iter_text()


def _text_lines(pages: Iterable[str]) -> Iterator[str]:
    """Lines with their ends: a quoted text may hold some."""
    rest = ""
    for page in pages:
        *lines, rest = (rest + page).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _differences(
    sent: Sent, line: Mapping[str, str], logged_user: Callable[[str], str | None]
) -> list[str]:
    user = logged_user(sent.ask.user_id)
    expected: dict[str, Any] = {
        "user_id": line["user_id"] if user is None else user,
        "variant": sent.answer["variant"],
        "model_version": sent.answer["model_version"],
        "prediction": sent.answer["prediction"],
        "label": sent.label if sent.outcome in OUTCOMES_KEPT else None,
        **sent.ask.features,
    }
    return [
        f"{line['request_id']}: {name} is {line.get(name)!r} in the log, expected {value!r}"
        for name, value in expected.items()
        if not _same(value, line.get(name))
    ]


def _same(value: Any, text: str | None) -> bool:
    if value is None:
        return not text
    if isinstance(value, bool):
        return text == json.dumps(value)
    if isinstance(value, float | int):
        return bool(text) and float(text or "nan") == value
    return text == str(value)
