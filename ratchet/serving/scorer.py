"""A model asked by many requests at once: what came while it was busy is asked together."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ratchet.serving.direct import Rows
from ratchet.serving.served_model import Answer, ServedModel

MOST_ROWS_AT_ONCE = 500

Waiter = asyncio.Future[list[Answer]]
Results = Sequence[list[Answer] | Exception]


class Scorer:
    """A model that answers in microseconds is asked in the event loop, any other in a thread.

    The thread ends with the scorer, and that with the last request that waits for it: a version
    that has left is asked to the end.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._waiting: list[tuple[Rows, Waiter]] = []
        self._busy = False
        self._began = 0.0
        self._thread = None if model.instant else ThreadPoolExecutor(1, f"v{model.version}")

    def ask(self, rows: Rows) -> Waiter:
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._waiting.append((rows, waiter))
        if not self._busy:
            self._busy, self._began = True, time.monotonic()
            loop.call_soon(self._begin)
        return waiter

    def hangs(self, seconds: float) -> bool:
        """Whether it has not come back from what it was asked that long ago."""
        return self._busy and self._thread is not None and time.monotonic() - self._began > seconds

    def _begin(self) -> None:
        group = self._next_group()
        if not group:
            self._busy = False
        elif self._thread is None:
            self._settle(group, attempts(self.model, [rows for rows, _ in group]))
        else:
            self._began = time.monotonic()
            loop = asyncio.get_running_loop()
            asked = [rows for rows, _ in group]
            running = loop.run_in_executor(self._thread, attempts, self.model, asked)
            running.add_done_callback(lambda done: self._settle(group, done.result()))

    def _next_group(self) -> list[tuple[Rows, Waiter]]:
        """Whose answer is still waited for."""
        group: list[tuple[Rows, Waiter]] = []
        rows = 0
        for taken, (asked, waiter) in enumerate(self._waiting):
            if group and rows + len(asked) > MOST_ROWS_AT_ONCE:
                self._waiting = self._waiting[taken:]
                return group
            if not waiter.done():
                group.append((asked, waiter))
                rows += len(asked)
        self._waiting = []
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
    """Together; where that fails, each alone, so that none suffers from another's rows."""
    if len(requests) == 1:
        return [_attempt(model, requests[0])]
    together = _attempt(model, [row for rows in requests for row in rows])
    if isinstance(together, Exception):
        return [_attempt(model, rows) for rows in requests]
    return list(_cut(together, [len(rows) for rows in requests]))


def _attempt(model: ServedModel, rows: Rows) -> list[Answer] | Exception:
    try:
        return model.answers(rows)
    except Exception as error:  # a model may raise anything
        return error


def _cut(answers: list[Answer], lengths: Sequence[int]) -> Any:
    start = 0
    for length in lengths:
        yield answers[start : start + length]
        start += length
