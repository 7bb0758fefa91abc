"""The split, arm B's share of the users: every change is recorded, and the newest is in force."""

import time
from typing import NamedTuple

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.engine import error_reason
from ratchet.predictions.journal import Journal
from ratchet.predictions.maintenance import PeriodicTask
from ratchet.predictions.tables import create_tables, insert_if_new, splits

SECONDS_BETWEEN_READS = 0.5


class Split(NamedTuple):
    time: float
    value: float
    by: str


class Splits:
    """The split that all workers and replicas use; a change reaches them within half a second.

    While PostgreSQL is away the last known split stays in force, also after a restart, because the
    journal remembers it.
    """

    def __init__(self, engine: Engine, first: Split, journal: Journal | None = None) -> None:
        self._engine, self._first, self._journal = engine, first, journal
        self._is_set_up = False
        remembered = journal.remembered_split() if journal else None
        self.current = Split(*remembered) if remembered else first
        self._read()
        self._task = PeriodicTask(SECONDS_BETWEEN_READS, self._read, "split")

    def put(self, value: float, by: str) -> Split:
        if not 0 <= value <= 1:
            raise ValueError(f"ab_split_b={value}: expected a share between 0 and 1")
        split = Split(time.time(), value, by)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(splits), split._asdict())
        except SQLAlchemyError as error:
            raise LogError(
                "The split was not changed: the database does not take it", error_reason(error)
            ) from None
        self._read()
        return self.current

    def close(self) -> None:
        self._task.stop()

    def _read(self) -> None:
        try:
            if not self._is_set_up:
                self._set_up()
            newest = self._newest()
        except SQLAlchemyError:
            return
        if newest != self.current:
            self.current = newest
            if self._journal:
                self._journal.remember_split(newest)

    def _set_up(self) -> None:
        """Insert the first split as row 0, so that of many workers only one inserts it."""
        create_tables(self._engine)
        with self._engine.begin() as connection:
            statement = insert_if_new(splits, self._engine.dialect.name)
            connection.execute(statement, {"id": 0} | self._first._asdict())
        self._is_set_up = True

    def _newest(self) -> Split:
        statement = select(splits.c.time, splits.c.value, splits.c.by)
        with self._engine.execution_options(reads=True).connect() as connection:
            newest = statement.order_by(splits.c.id.desc()).limit(1)
            return Split(*connection.execute(newest).one())
