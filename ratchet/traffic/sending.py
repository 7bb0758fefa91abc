"""Requests to a service at a rate, and their labels after a delay."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from ratchet.errors import InputError
from ratchet.traffic.habits import Ask
from ratchet.traffic.truth import Truth

LABELS_A_REQUEST = 200
SECONDS_BETWEEN_LABELS = 0.05
TRIES = 20  # for labels: the service may be away for a while, and a label is set once
OUTCOMES_KEPT = ("set", "same", "kept")


@dataclass(frozen=True)
class Plan:
    url: str
    rate: float  # requests a second; 0: as many as the service takes
    concurrency: int
    delay: float  # seconds between an answer and its label
    labelled: float  # the share of requests that are ever labelled
    truth: Truth


@dataclass
class Sent:
    """One answered request, as the client saw it."""

    ask: Ask
    answer: dict[str, Any]
    seconds: float
    label: Any = None
    outcome: str | None = None  # what the service said of the label


@dataclass
class Outcome:
    started: float
    sent: list[Sent] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)  # reasons
    seconds: float = 0.0


def send(asks: Iterable[Ask], plan: Plan, answered: Callable[[], None]) -> Outcome:
    return asyncio.run(_Client(plan, answered).send(asks))


class _Client:
    def __init__(self, plan: Plan, answered: Callable[[], None]) -> None:
        self._plan, self._answered = plan, answered
        self._outcome = Outcome(time.time())
        self._due: list[tuple[float, Sent]] = []  # in the order of the answers
        self._asking = True

    async def send(self, asks: Iterable[Ask]) -> Outcome:
        limits = httpx.Limits(max_connections=self._plan.concurrency + 1)
        started = time.monotonic()
        async with httpx.AsyncClient(base_url=self._plan.url, limits=limits, timeout=30) as http:
            await self._require_answer(http)
            labelling = asyncio.create_task(self._label(http))
            waiting = enumerate(asks)
            users = [self._ask(http, waiting, started) for _ in range(self._plan.concurrency)]
            await asyncio.gather(*users)
            self._asking = False
            await labelling
        self._outcome.seconds = time.monotonic() - started
        return self._outcome

    async def _require_answer(self, http: httpx.AsyncClient) -> None:
        try:
            reply = await http.get("/split")
            reply.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InputError(
                f"url={self._plan.url} is no service that answers ({error}); start one: make serve"
            ) from None

    async def _ask(
        self, http: httpx.AsyncClient, waiting: Iterable[tuple[int, Ask]], started: float
    ) -> None:
        for number, ask in waiting:
            if self._plan.rate:
                await asyncio.sleep(started + number / self._plan.rate - time.monotonic())
            await self._ask_one(http, ask)
            self._answered()

    async def _ask_one(self, http: httpx.AsyncClient, ask: Ask) -> None:
        before = time.perf_counter()
        body = {"user_id": ask.user_id, "features": ask.features}
        try:
            reply = await http.post("/predict", json=body)
        except httpx.HTTPError as error:
            self._outcome.unanswered[type(error).__name__] += 1
            return
        if reply.status_code != 200:
            self._outcome.unanswered[f"{reply.status_code} {reply.text[:200]}"] += 1
            return
        sent = Sent(ask, reply.json(), time.perf_counter() - before)
        self._outcome.sent.append(sent)
        self._judge(sent)

    def _judge(self, sent: Sent) -> None:
        if sent.ask.patience >= self._plan.labelled:
            return
        answer = sent.answer
        sent.label = self._plan.truth.label(
            sent.ask, answer["variant"], answer["model_version"], answer["prediction"]
        )
        if sent.label is not None:
            self._due.append((time.monotonic() + self._plan.delay, sent))

    async def _label(self, http: httpx.AsyncClient) -> None:
        while self._asking or self._due:
            await asyncio.sleep(SECONDS_BETWEEN_LABELS)
            now = time.monotonic()
            ready = [sent for due, sent in self._due if due <= now]
            del self._due[: len(ready)]
            for start in range(0, len(ready), LABELS_A_REQUEST):
                await self._feed_back(http, ready[start : start + LABELS_A_REQUEST])

    async def _feed_back(self, http: httpx.AsyncClient, labelled: Sequence[Sent]) -> None:
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
                    for sent, said in zip(labelled, outcomes, strict=True):
                        sent.outcome = said["outcome"]
                    return
                reason = f"{reply.status_code} {reply.text[:200]}"
            await asyncio.sleep(min(0.1 * 2**attempt, 2))
        for sent in labelled:
            sent.outcome = reason
