"""The share of traffic that arm B has: every change on record, the newest in force."""

import time
from typing import NamedTuple

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.group_commit import LogError
from ratchet.predictions.journal import Journal
from ratchet.predictions.periodic import Every
from ratchet.predictions.tables import create_tables, insert_if_new, reason, splits

SECONDS_BETWEEN_LOOKS = 0.5


class Split(NamedTuple):
    time: float
    value: float
    by: str


class Splits:
    """`current` is what all workers and replicas go by, half a second old at most.

    With PostgreSQL away the last one known stays in force; the journal knows it over a restart.
    """

    def __init__(self, engine: Engine, first: Split, journal: Journal | None = None) -> None:
        self._engine, self._first, self._journal = engine, first, journal
        self._is_set_up = False
        before = journal.remembered_split() if journal else None
        self.current = Split(*before) if before else first
        self._look()
        self._looks = Every(SECONDS_BETWEEN_LOOKS, self._look, "split")

    def put(self, value: float, by: str) -> Split:
        if not 0 <= value <= 1:
            raise ValueError(f"ab_split_b={value}: expected a share between 0 and 1")
        split = Split(time.time(), value, by)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(splits), split._asdict())
        except SQLAlchemyError as error:
            raise LogError(f"the split was not changed: {reason(error)}") from None
        self._look()
        return self.current

    def history(self) -> list[Split]:
        """The oldest first."""
        with self._engine.execution_options(reads=True).connect() as connection:
            return [Split(*row) for row in connection.execute(_SPLITS.order_by(splits.c.id))]

    def close(self) -> None:
        self._looks.stop()

    def _look(self) -> None:
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
        """The first split has the one id that no other gets: many workers at once set one."""
        create_tables(self._engine)
        with self._engine.begin() as connection:
            statement = insert_if_new(splits, self._engine.dialect.name)
            connection.execute(statement, {"id": 0} | self._first._asdict())
        self._is_set_up = True

    def _newest(self) -> Split:
        with self._engine.execution_options(reads=True).connect() as connection:
            return Split(*connection.execute(_SPLITS.order_by(splits.c.id.desc()).limit(1)).one())


_SPLITS = select(splits.c.time, splits.c.value, splits.c.by)
