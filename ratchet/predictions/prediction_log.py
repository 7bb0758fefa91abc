"""The write path of a service's prediction log; nothing else writes to the log.

    log = PredictionLog(log_url(), settings.ab)
    await log.append([record])     # committed when it returns
    await log.label([Label(...)])  # a LabelResult per label
    log.split.value                # the present split

reading.py reads a log.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from ratchet.errors import InputError
from ratchet.predictions.assignment import salt_of
from ratchet.predictions.commit_queue import CommitQueue, LogError, RefusedError
from ratchet.predictions.database import Database
from ratchet.predictions.engine import is_postgresql, without_password
from ratchet.predictions.journal import Journal, journal_path
from ratchet.predictions.maintenance import PeriodicTask, delete_older_in
from ratchet.predictions.postgresql_with_journal import OnLabels, PostgreSQLWithJournal
from ratchet.predictions.record import Label, LabelResult, Record, Shadow
from ratchet.predictions.splits import Split, Splits
from ratchet.settings import PROJECT, ABSettings

SECONDS_BETWEEN_DRAINS = 0.5
SECONDS_BETWEEN_WATCHES = 1.0
SECONDS_BETWEEN_DELETIONS = 3600.0
MAX_REQUEST_ID = 64  # characters
MAX_LABEL = 500  # characters of JSON; a row of PostgreSQL's index has at most 2,704 bytes


class PredictionLog:
    """A prediction log that is open for writing.

    `on_labels` is called from a thread with the results of those labels that could not be matched
    to a request while PostgreSQL was not available.
    """

    def __init__(
        self, url: str, settings: ABSettings | None = None, on_labels: OnLabels | None = None
    ) -> None:
        settings = settings or ABSettings()
        self._on_labels = on_labels or (lambda _: None)
        self._journal = Journal(journal_path()) if is_postgresql(url) else None
        self._tasks: list[PeriodicTask] = []
        self._database = self._opened(url)
        first = Split(time.time(), settings.split, str(PROJECT))
        split_database = Database(url)
        self._splits = Splits(split_database, first, self._journal)
        if isinstance(self._database, PostgreSQLWithJournal):
            for one in (*self._database.databases, split_database):
                self._tasks.append(PeriodicTask(SECONDS_BETWEEN_WATCHES, one.hang_up, "watch"))
        self._queue = CommitQueue(self._database.write)
        if days := settings.retention_days:
            delete = partial(delete_older_in, url, days)
            self._tasks.append(PeriodicTask(SECONDS_BETWEEN_DELETIONS, delete, "retention"))

    def append(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Return a future that is done when the records are committed, or raises LogError."""
        return self._queue.submit(records)

    def label(self, labels: Sequence[Label]) -> "asyncio.Future[list[LabelResult]]":
        _require_short(labels)
        return self._queue.submit(labels)

    def shadow(self, shadows: Sequence[Shadow]) -> "asyncio.Future[None]":
        return self._queue.submit(shadows)

    def append_now(self, records: Sequence[Record]) -> None:
        """Append without asyncio, and wait for the commit, as label_now and shadow_now do."""
        self._queue.submit_and_wait(records)

    def label_now(self, labels: Sequence[Label]) -> list[LabelResult]:
        _require_short(labels)
        results: list[LabelResult] = self._queue.submit_and_wait(labels)
        return results

    def shadow_now(self, shadows: Sequence[Shadow]) -> None:
        self._queue.submit_and_wait(shadows)

    @property
    def split(self) -> Split:
        return self._splits.current

    def salt(self, staging_version: str | None) -> str | None:
        """Return the salt that assigns users to arms in the test of this staging version."""
        return salt_of(self._splits.secret, staging_version)

    def put_split(self, value: float, by: str) -> Split:
        return self._splits.put(value, by)

    @property
    def waiting(self) -> int:
        """Return the number of writes that are not committed yet."""
        return self._queue.waiting

    @property
    def is_journalling(self) -> bool:
        """Return whether PostgreSQL is not available, or the journal is not empty yet."""
        is_away = isinstance(self._database, PostgreSQLWithJournal) and self._database.is_away
        return is_away or (self._journal is not None and not self._journal.is_empty())

    async def takes_writes(self) -> bool:
        """Return whether an empty write succeeds; /readyz asks this."""
        try:
            await self._queue.submit([])
        except LogError:
            return False
        return True

    def close(self) -> None:
        """Commit everything that was submitted, then close."""
        self._queue.close()
        self._splits.close()
        for task in self._tasks:
            task.stop()
        self._database.close()
        if self._journal:
            self._journal.close()

    def _opened(self, url: str) -> Database | PostgreSQLWithJournal:
        """Return the database. SQLite must work now; PostgreSQL may become available later."""
        if self._journal:
            postgresql = PostgreSQLWithJournal(url, self._journal, self._on_labels)
            self._tasks.append(PeriodicTask(SECONDS_BETWEEN_DRAINS, postgresql.drain, "journal"))
            return postgresql
        database = Database(url)
        try:
            database.prepare()
        except LogError as error:
            raise InputError(
                f"RATCHET_LOG_URL={without_password(url)} cannot be opened: {error}"
            ) from None
        return database


def _require_short(labels: Sequence[Label]) -> None:
    """Refuse labels and ids that are too long, so that they cannot fill the tables or the journal.

    No request has such an id, and no class has such a name.
    """
    for label in labels:
        if len(label.request_id) > MAX_REQUEST_ID:
            raise RefusedError(f"A request_id has at most {MAX_REQUEST_ID} characters")
        if len(label.label) > MAX_LABEL:
            raise RefusedError(f"A label has at most {MAX_LABEL} characters")
