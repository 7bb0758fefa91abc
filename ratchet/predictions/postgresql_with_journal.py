"""PostgreSQL with a journal, which keeps everything while PostgreSQL is away and then drains."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.database import Database
from ratchet.predictions.journal import KEPT_LABEL, Entry, Journal
from ratchet.predictions.record import Label, LabelResult, Record, Work, are_labels

ENTRIES_PER_TRANSACTION = 500
SECONDS_UNKNOWN_LABELS_WAIT = 3600  # the request may wait in another machine's journal

OnLabels = Callable[[Sequence[LabelResult]], None]
logger = logging.getLogger(__name__)


class PostgreSQLWithJournal:
    """`on_labels` is called with the results of labels that were kept and are written now."""

    def __init__(self, url: str, journal: Journal, on_labels: OnLabels) -> None:
        self._database, self._drain_database = Database(url), Database(url)  # one per thread
        self._journal, self._on_labels = journal, on_labels
        self.is_away = False

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        if not self.is_away:
            try:
                return self._write(works)
            except RefusedError:
                raise
            except LogError as error:
                self._go_away(error)
        return self._journal.write(works)

    def _write(self, works: Sequence[Work]) -> Sequence[Any]:
        """Write to PostgreSQL, but labels and shadows of requests in the journal to the journal.

        The journal is asked first: a request that has left it before that is in PostgreSQL.
        """
        ids = [item.request_id for work in works for item in work if not isinstance(item, Record)]
        waiting = self._journal.holds(ids) if ids else set()
        if not waiting:
            return self._database.write(works)
        written = self._database.write(
            [[item for item in work if item.request_id not in waiting] for work in works]
        )
        kept = self._journal.write(
            [[item for item in work if item.request_id in waiting] for work in works]
        )
        return [_merged(*parts, waiting) for parts in zip(works, kept, written, strict=True)]

    @property
    def databases(self) -> Sequence[Database]:
        return self._database, self._drain_database

    def drain(self) -> None:
        """Move what the journal keeps to PostgreSQL, if it is back. Called periodically."""
        if not self.is_away and self._journal.is_empty():
            return
        try:
            self._drain_database.prepare()
            if self.is_away:
                logger.warning("PostgreSQL is back")
            self.is_away = False
            with self._drain_lock() as acquired:
                if acquired:
                    self._drain()
        except LogError as error:
            self._go_away(error)

    def close(self) -> None:
        self._database.close()
        self._drain_database.close()

    def _go_away(self, error: LogError) -> None:
        if not self.is_away:
            logger.warning(
                "PostgreSQL is away; the journal keeps new requests. %s", error.cause or error
            )
        self.is_away = True

    @contextmanager
    def _drain_lock(self) -> Iterator[bool]:
        """Let one process of a machine drain. The lock is released even if its owner is killed."""
        with Path(f"{self._journal.path}.draining").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _drain(self) -> None:
        number = 0
        while batch := self._journal.after(number, ENTRIES_PER_TRANSACTION):
            number = batch[-1].number
            self._move(batch)

    def _move(self, batch: Sequence[Entry]) -> None:
        """Commit a batch to PostgreSQL, then remove it here. If killed in between, send it again.

        If PostgreSQL refuses the batch, move each entry alone, and keep the refused ones here.
        """
        try:
            results = self._drain_database.write([[entry.content] for entry in batch])
        except RefusedError as error:
            if len(batch) > 1:
                for entry in batch:
                    self._move([entry])
                return
            reason = error.cause or str(error)
            logger.error("PostgreSQL refused an entry, which stays in the journal: %s", reason)
            self._journal.refuse(batch[0].number, reason)
            return
        kept = [r for e, r in zip(batch, results, strict=True) if e.kind == KEPT_LABEL]
        self._on_labels([result for one in kept for result in one])
        unknown = [
            entry
            for entry, result in zip(batch, results, strict=True)
            if result and result[0].outcome == "unknown"
        ]
        limit = time.time() - SECONDS_UNKNOWN_LABELS_WAIT
        expired = [entry for entry in unknown if entry.time < limit]
        self._drain_database.refuse([e.content for e in expired if isinstance(e.content, Label)])
        waiting = {entry.number for entry in unknown if entry.time >= limit}
        self._journal.remove([entry.number for entry in batch if entry.number not in waiting])


def _merged(work: Work, kept: Any, written: Any, waiting: set[str]) -> Any:
    if not are_labels(work):
        return None
    from_journal, from_database = iter(kept or []), iter(written or [])
    return [
        next(from_journal) if item.request_id in waiting else next(from_database) for item in work
    ]
