"""The log's database, and one connection that writes to it."""

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from ratchet.predictions.group_commit import LogError, RefusedError
from ratchet.predictions.record import Label, Record, Work
from ratchet.predictions.storing import ROWS_A_STATEMENT, inserts, store, store_refused
from ratchet.predictions.tables import create_tables, open_engine, reason, splits

Result = TypeVar("Result")

REFUSALS = (
    ValueError, TypeError, OverflowError, DataError, IntegrityError,
    sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
)  # fmt: skip


class Database:
    """Used by one thread. After an error it connects anew."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self._connection: Connection | None = None
        self._busy_since: float | None = None

    def prepare(self) -> None:
        """The tables are there and take writes: tried, not guessed."""
        self._guarded(self._prepare)

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        return self._guarded(lambda: self._write(works))

    def refuse(self, labels: Sequence[Label]) -> None:
        def refuse() -> None:
            with self._connected().begin():
                store_refused(self._connected(), [(label, None) for label in labels])

        if labels:
            self._guarded(refuse)

    def hang_up(self, after: float) -> None:
        """From another thread: what this one has waited for so long fails, as if cut off."""
        busy_since, connection = self._busy_since, self._connection
        if busy_since and connection and time.monotonic() - busy_since > after:
            driver: Any = connection.connection.driver_connection
            with socket.socket(fileno=os.dup(driver.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._disconnect()
        self.engine.dispose()

    def _guarded(self, call: Callable[[], Result]) -> Result:
        self._busy_since = time.monotonic()
        try:
            return call()
        except REFUSALS as error:
            self._disconnect()
            raise RefusedError(f"the log cannot hold this: {reason(error)}") from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._disconnect()
            raise LogError(f"the log takes no writes: {reason(error)}") from None
        finally:
            self._busy_since = None

    def _write(self, works: Sequence[Work]) -> Sequence[Any]:
        rows = list(chain.from_iterable(works))
        connection = self._connected()
        if not rows:
            self._touch()
        elif connection.dialect.name == "sqlite" and all(type(row) is Record for row in rows):
            _insert(connection, rows)
            return [None] * len(works)
        with connection.begin():
            return store(connection, works)

    def _prepare(self) -> None:
        create_tables(self._connected())
        self._connected().commit()
        self._touch()

    def _touch(self) -> None:
        with self._connected().begin():
            self._connected().execute(update(splits).where(splits.c.id == 0).values(by=splits.c.by))

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self.engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _insert(connection: Connection, rows: Sequence[Any]) -> None:
    """By sqlite3 itself, and where they fit in one statement without begin and commit.

    Each statement is a trip out of Python's lock that waits for the threads that answer, and
    SQLAlchemy adds its own: an append alone takes 0.5 ms that way, and 0.05 this way.
    """
    driver: Any = connection.connection.driver_connection
    alone = len(rows) <= ROWS_A_STATEMENT
    if not alone:
        driver.execute("BEGIN IMMEDIATE")
    for statement, values in inserts(rows):
        driver.execute(statement, values)
    if not alone:
        driver.execute("COMMIT")
