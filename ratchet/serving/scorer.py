"""A model asked by many requests at once: requests that arrive while it is busy share one call."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ratchet.serving.direct import Rows
from ratchet.serving.served_model import Answer, ServedModel

MAX_ROWS_AT_ONCE = 500
MAX_ROWS_WAITING = 20_000  # more would wait longer than their clients do

Waiter = asyncio.Future[list[Answer]]
Results = Sequence[list[Answer] | Exception]


class QueueFullError(Exception):
    """Too many rows wait for this model already."""


class Scorer:
    """A model that answers in microseconds runs in the event loop, any other in its own thread.

    The thread ends with the scorer, and the scorer with the last request that waits for it, so a
    version that is replaced still answers what it was asked.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self.rows_waiting = 0
        self._waiting: list[tuple[Rows, Waiter]] = []
        self._busy = False
        self._began = 0.0
        self._thread = None if model.is_quick else ThreadPoolExecutor(1, f"v{model.version}")

    def ask(self, rows: Rows) -> Waiter:
        if self.rows_waiting >= MAX_ROWS_WAITING:
            raise QueueFullError(
                f"{self.rows_waiting} rows wait for version {self.model.version} already;"
                " try again later"
            )
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._waiting.append((rows, waiter))
        self.rows_waiting += len(rows)
        if not self._busy:
            self._busy, self._began = True, time.monotonic()
            loop.call_soon(self._begin)
        return waiter

    def hangs(self, seconds: float) -> bool:
        """Return whether the call under way has taken longer than this."""
        return self._busy and self._thread is not None and time.monotonic() - self._began > seconds

    def _begin(self) -> None:
        group = self._next_group()
        if not group:
            self._busy = False
        elif self._thread is None:
            self._settle(group, attempts(self.model, [rows for rows, _ in group]))
        else:
            self._began = time.monotonic()
            requests = [rows for rows, _ in group]
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._thread, attempts, self.model, requests)
            running.add_done_callback(lambda done: self._settle(group, done.result()))

    def _next_group(self) -> list[tuple[Rows, Waiter]]:
        """Take the next requests that somebody still waits for."""
        group: list[tuple[Rows, Waiter]] = []
        size = taken = 0
        for rows, waiter in self._waiting:
            if group and size + len(rows) > MAX_ROWS_AT_ONCE:
                break
            taken += 1
            self.rows_waiting -= len(rows)
            if not waiter.done():
                group.append((rows, waiter))
                size += len(rows)
        self._waiting = self._waiting[taken:]
        return group

    def _settle(self, group: Sequence[tuple[Rows, Waiter]], results: Results) -> None:
        for (_, waiter), result in zip(group, results, strict=True):
            if waiter.done():
                continue
            if isinstance(result, Exception):
                waiter.set_exception(result)
            else:
                waiter.set_result(result)
        self._begin()


def attempts(model: ServedModel, requests: Sequence[Rows]) -> Results:
    """Score all requests in one call; if that fails, each alone, so that one cannot fail others."""
    if len(requests) == 1:
        return [_attempt(model, requests[0])]
    together = _attempt(model, [row for rows in requests for row in rows])
    if isinstance(together, Exception):
        return [_attempt(model, rows) for rows in requests]
    return list(_split(together, [len(rows) for rows in requests]))


def _attempt(model: ServedModel, rows: Rows) -> list[Answer] | Exception:
    try:
        return model.answers(rows)
    except Exception as error:  # a model may raise anything
        return error


def _split(answers: list[Answer], lengths: Sequence[int]) -> Iterator[list[Answer]]:
    start = 0
    for length in lengths:
        yield answers[start : start + length]
        start += length
