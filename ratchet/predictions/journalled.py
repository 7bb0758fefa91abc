"""PostgreSQL with a journal beside it: while it is away the journal keeps, then it drains."""

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratchet.predictions.database import Database
from ratchet.predictions.group_commit import LogError, RefusedError
from ratchet.predictions.journal import Entry, Journal
from ratchet.predictions.record import Label, Record, Work, are_labels

ENTRIES_A_TRANSACTION = 500
SECONDS_TO_ANSWER = 5
SECONDS_AN_UNKNOWN_LABEL_WAITS = 3600  # its request may lie in another machine's journal

logger = logging.getLogger(__name__)


class JournalledDatabase:
    def __init__(self, url: str, journal: Journal) -> None:
        self._database, self._draining = Database(url), Database(url)  # a connection per thread
        self._journal = journal
        self.away = False

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        if not self.away:
            try:
                return self._write(works)
            except RefusedError:
                raise
            except LogError as error:
                self._leave(error)
        return self._journal.write(works)

    def _write(self, works: Sequence[Work]) -> Sequence[Any]:
        """What comes to a request that waits in the journal waits there with it.

        The journal is asked first: what left it before that question is in PostgreSQL by now.
        """
        later = [one.request_id for work in works for one in work if not isinstance(one, Record)]
        waiting = self._journal.holds(later) if later else set()
        if not waiting:
            return self._database.write(works)
        there = [[one for one in work if one.request_id not in waiting] for work in works]
        here = [[one for one in work if one.request_id in waiting] for work in works]
        written, kept = self._database.write(there), self._journal.write(here)
        return [_merged(*parts, waiting) for parts in zip(works, kept, written, strict=True)]

    def watch(self) -> None:
        """A server that is frozen, or a cable that is cut, never says that it is gone."""
        for database in (self._database, self._draining):
            database.hang_up(after=SECONDS_TO_ANSWER)

    def drain(self) -> None:
        """Called again and again; does something only after PostgreSQL has been away."""
        if not self.away and self._journal.is_empty():
            return
        try:
            self._draining.prepare()
            if self.away:
                logger.warning("PostgreSQL is back")
            self.away = False
            with self._only_one() as chosen:
                if chosen:
                    self._drain()
        except LogError as error:
            self._leave(error)

    def close(self) -> None:
        self._database.close()
        self._draining.close()

    def _leave(self, error: LogError) -> None:
        if not self.away:
            logger.warning("PostgreSQL is away, the journal keeps what comes. %s", error)
        self.away = True

    @contextmanager
    def _only_one(self) -> Iterator[bool]:
        """Of the processes that share the journal. The lock ends with its holder, even a killed."""
        with Path(f"{self._journal.path}.draining").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _drain(self) -> None:
        number = 0
        while batch := self._journal.after(number, ENTRIES_A_TRANSACTION):
            number = batch[-1].number
            self._move(batch)

    def _move(self, batch: Sequence[Entry]) -> None:
        """Removed here after it is committed there: killed in between, it is only sent again."""
        try:
            results = self._draining.write([[entry.content] for entry in batch])
        except RefusedError as error:
            if len(batch) > 1:
                for entry in batch:
                    self._move([entry])
                return
            logger.error("PostgreSQL refused a record, which stays in the journal: %s", error)
            self._journal.refuse(batch[0].number, str(error))
            return
        unknown = [e for e, result in zip(batch, results, strict=True) if result == ["unknown"]]
        old = time.time() - SECONDS_AN_UNKNOWN_LABEL_WAITS
        expired = [entry for entry in unknown if entry.time < old]
        self._draining.refuse([e.content for e in expired if isinstance(e.content, Label)])
        waiting = {entry.number for entry in unknown if entry.time >= old}
        self._journal.remove([entry.number for entry in batch if entry.number not in waiting])


def _merged(work: Work, kept: Any, written: Any, waiting: set[str]) -> Any:
    if not are_labels(work):
        return None
    here, there = iter(kept or []), iter(written or [])
    return [next(here) if one.request_id in waiting else next(there) for one in work]
