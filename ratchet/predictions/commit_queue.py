"""A thread that commits everything that has been submitted since its last commit."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ratchet.predictions.record import Work

Waiter = Future[Any] | asyncio.Future[Any]
Commit = Callable[[Sequence[Work]], Sequence[Any]]
MAX_WAITING = 50_000  # submitted and not committed; with more the log is not keeping up
MAX_PER_COMMIT = 1_000


class LogError(Exception):
    """The log could not keep a record, so its request must not be answered.

    The message is for clients. `cause` is for the service's own log: it may name the database.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class RefusedError(LogError):
    """The database is up and refuses this content: a text with NUL, for example."""


class CommitQueue:
    """`commit` returns a result, or the exception to raise, for each piece of work."""

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
        """Return a future of the running event loop; it is done when the work is committed."""
        waiter = asyncio.get_running_loop().create_future()
        self._put(work, waiter)
        return waiter

    def submit_and_wait(self, work: Work) -> Any:
        waiter: Future[Any] = Future()
        self._put(work, waiter)
        return waiter.result()

    def close(self) -> None:
        """Commit everything that was submitted, then end the thread."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _put(self, work: Work, waiter: Waiter) -> None:
        if self._closed:
            raise LogError("The prediction log is closed")
        if self._queue.qsize() >= MAX_WAITING:
            raise LogError(f"{MAX_WAITING} writes wait for the prediction log; try again later")
        self._queue.put((work, waiter))

    def _run(self) -> None:
        is_open = True
        while is_open:
            items = [self._queue.get()]
            while len(items) < MAX_PER_COMMIT and not self._queue.empty():
                items.append(self._queue.get())
            is_open = None not in items
            group = [item for item in items if item is not None]
            if group:
                works = [work for work, _ in group]
                _deliver([waiter for _, waiter in group], self._results(works))

    def _results(self, works: Sequence[Work]) -> Sequence[Any]:
        """If one piece of work is refused, commit each alone so that only that one fails."""
        try:
            return self._commit(works)
        except RefusedError as error:
            return [error] if len(works) == 1 else [self._results([one])[0] for one in works]
        except Exception as error:  # the thread must survive any error of a database driver
            return [error] * len(works)


def _deliver(waiters: Sequence[Waiter], results: Sequence[Any]) -> None:
    """Wake each event loop once, however many of its futures are done."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Waiter, Any]]] = {}
    for waiter, result in zip(waiters, results, strict=True):
        if isinstance(waiter, asyncio.Future):
            by_loop.setdefault(waiter.get_loop(), []).append((waiter, result))
        else:
            _settle([(waiter, result)])
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # the loop was closed, so no caller waits in it
            continue


def _settle(pairs: Sequence[tuple[Waiter, Any]]) -> None:
    for waiter, result in pairs:
        if waiter.done():  # the request was cancelled
            continue
        if isinstance(result, Exception):
            waiter.set_exception(result)
        else:
            waiter.set_result(result)
