"""The client of the simulated users: it sends requests at a rate, and labels after a delay."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from ratchet.errors import InputError
from ratchet.traffic.planned_requests import PlannedRequest
from ratchet.traffic.truth import Truth

LABELS_PER_REQUEST = 200
SECONDS_BETWEEN_LABELS = 0.05
TRIES = 20  # to send labels; sending a label again is safe, because the service sets it only once
OUTCOMES_KEPT = ("set", "same", "kept")  # the service's answers that mean: the log has this label


@dataclass(frozen=True)
class Plan:
    """How the client sends: to which service, how fast, and which labels."""

    url: str
    rate: float  # requests a second; 0: as many as the service takes
    concurrency: int
    delay: float  # seconds between an answer and its label
    labelled: float  # the share of requests that get a label
    truth: Truth


@dataclass
class Sent:
    """A request that was answered, with its answer and its label."""

    request: PlannedRequest
    answer: dict[str, Any]
    seconds: float
    label: Any = None
    outcome: str | None = None  # what the service answered to the label


@dataclass
class Outcome:
    """Everything that was sent: the answered requests, and how many were not answered and why."""

    started: float
    sent: list[Sent] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)  # by reason
    seconds: float = 0.0


def send(requests: Iterable[PlannedRequest], plan: Plan, on_answer: Callable[[], None]) -> Outcome:
    return asyncio.run(_Client(plan, on_answer).send(requests))


class _Client:
    def __init__(self, plan: Plan, on_answer: Callable[[], None]) -> None:
        self._plan, self._on_answer = plan, on_answer
        self._outcome = Outcome(time.time())
        self._due: list[tuple[float, Sent]] = []  # labels to send, in the order of the answers
        self._is_sending = True

    async def send(self, requests: Iterable[PlannedRequest]) -> Outcome:
        limits = httpx.Limits(max_connections=self._plan.concurrency + 1)
        started = time.monotonic()
        async with httpx.AsyncClient(base_url=self._plan.url, limits=limits, timeout=30) as http:
            await self._require_service(http)
            labels = asyncio.create_task(self._send_labels(http))
            waiting = enumerate(requests)
            users = [self._send_all(http, waiting, started) for _ in range(self._plan.concurrency)]
            await asyncio.gather(*users)
            self._is_sending = False
            await labels
        self._outcome.seconds = time.monotonic() - started
        return self._outcome

    async def _require_service(self, http: httpx.AsyncClient) -> None:
        try:
            reply = await http.get("/split")
            reply.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InputError(
                f"url={self._plan.url}: no service answers there ({error}); start one: make serve"
            ) from None

    async def _send_all(
        self,
        http: httpx.AsyncClient,
        waiting: Iterable[tuple[int, PlannedRequest]],
        started: float,
    ) -> None:
        for number, request in waiting:
            if self._plan.rate:
                await asyncio.sleep(started + number / self._plan.rate - time.monotonic())
            await self._send_one(http, request)
            self._on_answer()

    async def _send_one(self, http: httpx.AsyncClient, request: PlannedRequest) -> None:
        started = time.perf_counter()
        body = {"user_id": request.user_id, "features": request.features}
        try:
            reply = await http.post("/predict", json=body)
        except httpx.HTTPError as error:
            self._outcome.unanswered[type(error).__name__] += 1
            return
        if reply.status_code != 200:
            self._outcome.unanswered[f"{reply.status_code} {reply.text[:200]}"] += 1
            return
        sent = Sent(request, reply.json(), time.perf_counter() - started)
        self._outcome.sent.append(sent)
        self._choose_label(sent)

    def _choose_label(self, sent: Sent) -> None:
        if sent.request.labelled_draw >= self._plan.labelled:
            return
        answer = sent.answer
        sent.label = self._plan.truth.label(
            sent.request, answer["variant"], answer["model_version"], answer["prediction"]
        )
        if sent.label is not None:
            self._due.append((time.monotonic() + self._plan.delay, sent))

    async def _send_labels(self, http: httpx.AsyncClient) -> None:
        while self._is_sending or self._due:
            await asyncio.sleep(SECONDS_BETWEEN_LABELS)
            now = time.monotonic()
            ready = [sent for due, sent in self._due if due <= now]
            del self._due[: len(ready)]
            for start in range(0, len(ready), LABELS_PER_REQUEST):
                await self._send_feedback(http, ready[start : start + LABELS_PER_REQUEST])

    async def _send_feedback(self, http: httpx.AsyncClient, labelled: Sequence[Sent]) -> None:
        body = [{"request_id": s.answer["request_id"], "label": s.label} for s in labelled]
        reason = ""
        for attempt in range(TRIES):
            try:
                reply = await http.post("/feedback", json=body)
            except httpx.HTTPError as error:
                reason = type(error).__name__
            else:
                if reply.status_code == 200:
                    outcomes = reply.json()["outcomes"]
                    for sent, content in zip(labelled, outcomes, strict=True):
                        sent.outcome = content["outcome"]
                    return
                reason = f"{reply.status_code} {reply.text[:200]}"
            await asyncio.sleep(min(0.1 * 2**attempt, 2))
        for sent in labelled:
            sent.outcome = reason
