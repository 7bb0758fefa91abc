"""The prediction log of a service: append, label, shadow, split.

    log = PredictionLog(log_url(), settings.ab)
    await log.append([record])     # committed when it returns
    await log.label([Label(...)])  # what became of each
    log.split.value                # in force now

Readers need none of it: see reading.py and export.py.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from ratchet.errors import InputError
from ratchet.predictions.database import Database
from ratchet.predictions.group_commit import GroupCommit, LogError
from ratchet.predictions.journal import Journal, journal_path
from ratchet.predictions.journalled import JournalledDatabase
from ratchet.predictions.periodic import Every
from ratchet.predictions.record import Label, LabelOutcome, Record, Shadow
from ratchet.predictions.retention import delete_older
from ratchet.predictions.splits import Split, Splits
from ratchet.predictions.tables import is_postgresql, open_engine, shown
from ratchet.settings import PROJECT, ABSettings

SECONDS_BETWEEN_DRAINS = 0.5
SECONDS_BETWEEN_WATCHES = 1.0
SECONDS_BETWEEN_CLEANINGS = 3600.0


class PredictionLog:
    def __init__(self, url: str, settings: ABSettings | None = None) -> None:
        settings = settings or ABSettings()
        self._journal = Journal(journal_path()) if is_postgresql(url) else None
        self._engine = open_engine(url)
        self._beside: list[Every] = []
        self._store = self._opened(url)
        first = Split(time.time(), settings.split, str(PROJECT))
        self._splits = Splits(self._engine, first, self._journal)
        self._writer = GroupCommit(self._store.write)
        if days := settings.retention_days:
            clean = partial(delete_older, self._engine, days)
            self._beside.append(Every(SECONDS_BETWEEN_CLEANINGS, clean, "retention"))

    def append(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Awaited: the records are committed. Raises LogError: they are not kept."""
        return self._writer.submit(records)

    def label(self, labels: Sequence[Label]) -> "asyncio.Future[list[LabelOutcome]]":
        return self._writer.submit(labels)

    def shadow(self, shadows: Sequence[Shadow]) -> "asyncio.Future[None]":
        return self._writer.submit(shadows)

    def append_now(self, records: Sequence[Record]) -> None:
        """Outside asyncio, like the next two."""
        self._writer.submit_and_wait(records)

    def label_now(self, labels: Sequence[Label]) -> list[LabelOutcome]:
        outcomes: list[LabelOutcome] = self._writer.submit_and_wait(labels)
        return outcomes

    def shadow_now(self, shadows: Sequence[Shadow]) -> None:
        self._writer.submit_and_wait(shadows)

    @property
    def split(self) -> Split:
        return self._splits.current

    def put_split(self, value: float, by: str) -> Split:
        return self._splits.put(value, by)

    def split_history(self) -> list[Split]:
        return self._splits.history()

    @property
    def waiting(self) -> int:
        """Writes that are not committed yet."""
        return self._writer.waiting

    @property
    def is_journalling(self) -> bool:
        """PostgreSQL is away, or what was kept meanwhile is not back in it yet."""
        away = isinstance(self._store, JournalledDatabase) and self._store.away
        return away or (self._journal is not None and not self._journal.is_empty())

    async def takes_writes(self) -> bool:
        """For /readyz: tried, not guessed."""
        try:
            await self._writer.submit([])
        except LogError:
            return False
        return True

    def close(self) -> None:
        """After everything that was appended."""
        self._writer.close()
        self._splits.close()
        for task in self._beside:
            task.stop()
        self._store.close()
        self._engine.dispose()
        if self._journal:
            self._journal.close()

    def _opened(self, url: str) -> Database | JournalledDatabase:
        """SQLite must be there. PostgreSQL may be away, also when the service starts."""
        if self._journal:
            store = JournalledDatabase(url, self._journal)
            self._beside.append(Every(SECONDS_BETWEEN_DRAINS, store.drain, "journal"))
            self._beside.append(Every(SECONDS_BETWEEN_WATCHES, store.watch, "watch"))
            return store
        database = Database(url)
        try:
            database.prepare()
        except LogError as error:
            raise InputError(f"RATCHET_LOG_URL={shown(url)} cannot be opened: {error}") from None
        return database
