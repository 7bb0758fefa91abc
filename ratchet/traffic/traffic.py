"""A run of simulated traffic: rows are read, requests are sent, and the log is checked."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.predictions.assignment import pseudonymize
from ratchet.predictions.engine import without_password
from ratchet.settings import Settings
from ratchet.traffic.agreement import Agreement, compare, log_lines
from ratchet.traffic.planned_requests import plan_requests
from ratchet.traffic.rows import read_rows, shifted
from ratchet.traffic.sending import Outcome, Plan, send
from ratchet.traffic.truth import read_truth

COMPARISONS = 5  # repeated, because the service may still be writing its journal into the log


@dataclass(frozen=True)
class Parameters:
    """The parameters of the step `traffic`, which MLproject explains, after their checks."""

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

    def without_passwords(self) -> dict[str, Any]:
        values = asdict(self)
        addresses = {k: v for k, v in values.items() if isinstance(v, str) and "://" in v}
        return values | {name: without_password(url) for name, url in addresses.items()}


def run_traffic(
    parameters: Parameters, settings: Settings, on_answer: Callable[[], None]
) -> Outcome:
    p = parameters
    rows = read_rows(p.data, settings)
    truth = read_truth(p.accuracy, p.correlation, rows.labels)
    if p.shift != "none":
        rows = shifted(rows, p.shift)
    plan = Plan(p.url.rstrip("/"), p.rate, p.concurrency, p.delay, p.labelled, truth)
    return send(plan_requests(rows, p.requests, p.users, p.seed), plan, on_answer)


def compare_with_log(
    parameters: Parameters, settings: Settings, outcome: Outcome
) -> Agreement | None:
    """Check the log against the answers.

    Return None if nothing was answered, or if the log cannot be read, because RATCHET_ADMIN_TOKEN
    is not set.
    """
    is_service = parameters.log == "service"
    if not outcome.sent or (is_service and not os.environ.get("RATCHET_ADMIN_TOKEN")):
        return None
    url, logged_user = parameters.url.rstrip("/"), _logged_user(settings)
    for attempt in range(COMPARISONS):
        time.sleep(min(attempt, 1))
        lines = log_lines(url, parameters.log, outcome.sent)
        agreement = compare(outcome.sent, lines, logged_user)
        if agreement.holds:
            break
    return agreement


def _logged_user(settings: Settings) -> Callable[[str], str | None]:
    if not settings.ab.hash_users:
        return str
    secret = os.environ.get("RATCHET_USER_SECRET")
    return lambda user: pseudonymize(user, secret) if secret else None
