"""One thread that commits whatever has gathered since its last commit."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ratchet.predictions.record import Work

Waiter = Future[Any] | asyncio.Future[Any]
Commit = Callable[[Sequence[Work]], Sequence[Any]]
MOST_WAITING = 50_000  # pieces of work; beyond it the log is not keeping up
MOST_A_COMMIT = 1_000


class LogError(Exception):
    """The log did not keep it, so nothing may be answered."""


class RefusedError(LogError):
    """No log could keep this: it is no text, or lacks what a record must have."""


class GroupCommit:
    """`commit` returns for each piece of work its result, or the exception to raise."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._queue: queue.SimpleQueue[tuple[Work, Waiter] | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, work: Work) -> asyncio.Future[Any]:
        """For asyncio: done when it is committed."""
        waiter = asyncio.get_running_loop().create_future()
        self._put(work, waiter)
        return waiter

    def submit_and_wait(self, work: Work) -> Any:
        waiter: Future[Any] = Future()
        self._put(work, waiter)
        return waiter.result()

    def close(self) -> None:
        """After everything that was submitted."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _put(self, work: Work, waiter: Waiter) -> None:
        if self._closed:
            raise LogError("the log is closed")
        if self._queue.qsize() >= MOST_WAITING:
            raise LogError(f"{MOST_WAITING} writes wait for the log; it is not keeping up")
        self._queue.put((work, waiter))

    def _run(self) -> None:
        open_ = True
        while open_:
            gathered = [self._queue.get()]
            while len(gathered) < MOST_A_COMMIT and not self._queue.empty():
                gathered.append(self._queue.get())
            open_ = None not in gathered
            group = [one for one in gathered if one is not None]
            if group:
                _deliver([waiter for _, waiter in group], self._results([w for w, _ in group]))

    def _results(self, works: Sequence[Work]) -> Sequence[Any]:
        """One that cannot be kept does not take those beside it along."""
        try:
            return self._commit(works)
        except RefusedError as error:
            return [error] if len(works) == 1 else [self._results([one])[0] for one in works]
        except Exception as error:  # the thread must outlive whatever a database makes of a write
            return [error] * len(works)


def _deliver(waiters: Sequence[Waiter], results: Sequence[Any]) -> None:
    """One wake-up of an event loop for all that waits in it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Waiter, Any]]] = {}
    for waiter, result in zip(waiters, results, strict=True):
        if isinstance(waiter, asyncio.Future):
            by_loop.setdefault(waiter.get_loop(), []).append((waiter, result))
        else:
            _settle([(waiter, result)])
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # it was closed, and nobody waits in it any more
            continue


def _settle(pairs: Sequence[tuple[Waiter, Any]]) -> None:
    for waiter, result in pairs:
        if waiter.done():  # its request was given up
            continue
        if isinstance(result, Exception):
            waiter.set_exception(result)
        else:
            waiter.set_result(result)
