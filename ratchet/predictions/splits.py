"""The split, arm B's share of the users: every change is recorded, and the newest is in force.

The secret of the assignment lies next to it. All workers and replicas use the first secret that
reached the database.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, insert, select

from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.database import Database
from ratchet.predictions.journal import Journal
from ratchet.predictions.maintenance import PeriodicTask
from ratchet.predictions.tables import assignment_secret, create_tables, insert_if_new, splits

Result = TypeVar("Result")
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

    def __init__(self, database: Database, first: Split, journal: Journal | None = None) -> None:
        self._database, self._first, self._journal = database, first, journal
        self._lock = threading.Lock()  # the database has one connection
        self._is_set_up = False
        remembered = (journal.remembered_split() if journal else None) or []
        self.current = Split(*remembered[:3]) if remembered else first
        self.secret: str = remembered[3] if len(remembered) > 3 else secrets.token_hex(16)
        self._read()
        self._task = PeriodicTask(SECONDS_BETWEEN_READS, self._read, "split")

    def put(self, value: float, by: str) -> Split:
        if not 0 <= value <= 1:
            raise ValueError(f"ab_split_b={value}: expected a share between 0 and 1")
        split = Split(time.time(), value, by)

        def insert_split(connection: Connection) -> None:
            with connection.begin():
                connection.execute(insert(splits), split._asdict())

        try:
            self._call(insert_split)
        except LogError as error:
            raise LogError(f"The split was not changed. {error}", error.cause) from None
        self._read()
        return self.current

    def close(self) -> None:
        self._task.stop()
        self._database.close()

    def _call(self, function: Callable[[Connection], Result]) -> Result:
        with self._lock:
            return self._database.call(function)

    def _read(self) -> None:
        try:
            if not self._is_set_up:
                self._call(self._set_up)
                self._is_set_up = True
                self._remember()
            newest = self._call(_newest)
        except LogError:
            self._is_set_up = False  # SQLite's file may have been replaced
            return
        if newest != self.current:
            self.current = newest
            self._remember()

    def _remember(self) -> None:
        if self._journal:
            self._journal.remember_split([*self.current, self.secret])

    def _set_up(self, connection: Connection) -> None:
        """Insert the first split as row 0, so that of many workers only one inserts it."""
        create_tables(connection)
        connection.commit()
        with connection.begin():
            dialect = connection.dialect.name
            connection.execute(insert_if_new(splits, dialect), {"id": 0} | self._first._asdict())
            own = {"id": 0, "value": self.secret}
            connection.execute(insert_if_new(assignment_secret, dialect), own)
            self.secret = str(connection.execute(select(assignment_secret.c.value)).scalar_one())


def _newest(connection: Connection) -> Split:
    statement = select(splits.c.time, splits.c.value, splits.c.by)
    newest = statement.order_by(splits.c.id.desc()).limit(1)
    with connection.execution_options(reads=True).begin():
        return Split(*connection.execute(newest).one())
