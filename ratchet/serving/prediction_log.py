"""The prediction log of a service: append, label, shadow, split.

    log = PredictionLog(log_url(), settings.ab)
    await log.append([record])     # committed when it returns
    await log.label([Label(...)])  # what became of each
    log.split.value                # in force now

Readers need none of it: see reading.py and export.py.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from ratchet.config import ABSettings
from ratchet.serving.group_commit import GroupCommit, LogError, Work
from ratchet.serving.record import Label, LabelOutcome, Record, Shadow
from ratchet.serving.splits import Split, Splits
from ratchet.serving.storing import store
from ratchet.serving.tables import create_tables, open_engine


class PredictionLog:
    def __init__(self, url: str, settings: ABSettings = ABSettings()) -> None:  # noqa: B008
        self._engine = open_engine(url)
        create_tables(self._engine)
        self._splits = Splits(self._engine, settings.split)
        self._writer = GroupCommit(self._commit)

    def append(self, records: Sequence[Record]) -> "asyncio.Future[None]":
        """Awaited: the records are committed. Raises LogError: they are not kept."""
        return self._writer.submit(records)

    def label(self, labels: Sequence[Label]) -> "asyncio.Future[list[LabelOutcome]]":
        return self._writer.submit(labels)

    def shadow(self, shadows: Sequence[Shadow]) -> "asyncio.Future[None]":
        return self._writer.submit(shadows)

    def append_now(self, records: Sequence[Record]) -> None:
        """Outside asyncio."""
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

    def takes_writes(self) -> bool:
        """For /readyz: tried, not guessed."""
        try:
            with self._engine.begin():
                return True
        except SQLAlchemyError:
            return False

    def close(self) -> None:
        """After everything that was appended."""
        self._writer.close()
        self._splits.close()
        self._engine.dispose()

    def _commit(self, works: Sequence[Work]) -> Sequence[object]:
        try:
            with self._engine.begin() as connection:
                return store(connection, works)
        except SQLAlchemyError as error:
            raise LogError(str(error.__cause__ or error)) from None
