"""Traffic for a service, from the rows that are sent to whether its log agrees."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.predictions.assignment import hidden
from ratchet.predictions.tables import shown
from ratchet.settings import Settings
from ratchet.traffic.agreement import Agreement, compare, log_lines
from ratchet.traffic.habits import asks
from ratchet.traffic.rows import read_rows, shifted
from ratchet.traffic.sending import OUTCOMES_KEPT, Outcome, Plan, Sent, send
from ratchet.traffic.truth import read_truth

LOOKS = 5  # at the log: a journal may still drain into it
NOT_COMPARED = "not compared: set RATCHET_ADMIN_TOKEN to the service's, or log to its address"


@dataclass(frozen=True)
class Wanted:
    url: str
    data: str
    requests: int
    users: int
    rate: float
    concurrency: int
    delay: float
    labelled: float
    accuracy: str
    correlation: float
    shift: str
    seed: int
    log: str

    def __post_init__(self) -> None:
        for name in ("requests", "users", "concurrency"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected 1 or more")
        for name in ("rate", "delay"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}={getattr(self, name)}: expected 0 or more")
        if not 0 <= self.labelled <= 1:
            raise InputError(f"labelled={self.labelled}: expected a share between 0 and 1")


def told(wanted: Wanted) -> dict[str, Any]:
    """For the report: an address without its password."""
    said = asdict(wanted)
    return said | {k: shown(v) for k, v in said.items() if isinstance(v, str) and "://" in v}


def drive(wanted: Wanted, settings: Settings, answered: Callable[[], None]) -> Outcome:
    rows = read_rows(wanted.data, settings)
    truth = read_truth(wanted.accuracy, wanted.correlation, rows.labels)
    if wanted.shift != "none":
        rows = shifted(rows, wanted.shift)
    url = wanted.url.rstrip("/")
    plan = Plan(url, wanted.rate, wanted.concurrency, wanted.delay, wanted.labelled, truth)
    return send(asks(rows, wanted.requests, wanted.users, wanted.seed), plan, answered)


def agreement(wanted: Wanted, settings: Settings, outcome: Outcome) -> Agreement | None:
    """None where there is no way to the log."""
    token = os.environ.get("RATCHET_ADMIN_TOKEN")
    if not outcome.sent or (wanted.log == "service" and not token):
        return None
    url, logged_user = wanted.url.rstrip("/"), _logged_user(settings)
    for _ in range(LOOKS):
        lines = log_lines(url, wanted.log, outcome.sent, token)
        found = compare(outcome.sent, lines, logged_user)
        if found.holds:
            break
        time.sleep(1)
    return found


def rows_by_arm(outcome: Outcome) -> list[dict[str, Any]]:
    """A line per arm and version that answered."""
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in outcome.sent:
        key = (one.answer["variant"], one.answer["model_version"])
        groups.setdefault(key, []).append(one)
    return [
        {"arm": arm, "version": version, **_figures(groups[arm, version])}
        for arm, version in sorted(groups)
    ]


def _figures(sent: list[Sent]) -> Mapping[str, Any]:
    import numpy as np

    right = [s.answer["prediction"] == s.label for s in sent if s.outcome in OUTCOMES_KEPT]
    milliseconds = [one.seconds * 1000 for one in sent]
    return {
        "users": len({one.ask.user_id for one in sent}),
        "requests": len(sent),
        "labelled": len(right),
        "right": sum(right) / len(right) if right else None,
        "median ms": float(np.median(milliseconds)),
        "p99 ms": float(np.quantile(milliseconds, 0.99)),
    }


def _logged_user(settings: Settings) -> Callable[[str], str | None]:
    if not settings.ab.hash_users:
        return str
    secret = os.environ.get("RATCHET_USER_SECRET")
    return lambda user: hidden(user, secret) if secret else None
