"""The connection that writes to the log's database."""

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.engine import error_reason, open_engine
from ratchet.predictions.record import Label, Record, Work
from ratchet.predictions.tables import create_tables, splits
from ratchet.predictions.writing import ROWS_PER_STATEMENT, sqlite_inserts, write, write_refused

Result = TypeVar("Result")

REFUSALS = (
    ValueError,
    TypeError,
    OverflowError,
    DataError,
    IntegrityError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


class Database:
    """A connection for one thread. After an error it connects again."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self._connection: Connection | None = None
        self._busy_since: float | None = None

    def prepare(self) -> None:
        """Create missing tables and make a test write. Raise LogError if either fails."""
        self._guarded(self._prepare)

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        return self._guarded(lambda: self._write(works))

    def refuse(self, labels: Sequence[Label]) -> None:
        """Record labels whose requests are unknown."""

        def refuse() -> None:
            with self._connected().begin():
                write_refused(self._connected(), [(label, None) for label in labels])

        if labels:
            self._guarded(refuse)

    def hang_up(self, after: float) -> None:
        """Cut the connection, from another thread, if a statement has run longer than that."""
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
            raise RefusedError(
                f"The prediction log cannot hold this: {error_reason(error)}"
            ) from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            self._disconnect()
            raise LogError(f"The prediction log takes no writes: {error_reason(error)}") from None
        finally:
            self._busy_since = None

    def _write(self, works: Sequence[Work]) -> Sequence[Any]:
        items = list(chain.from_iterable(works))
        connection = self._connected()
        if not items:
            self._test_write()
        elif connection.dialect.name == "sqlite" and all(type(item) is Record for item in items):
            _insert(connection, items)
            return [None] * len(works)
        with connection.begin():
            return write(connection, works)

    def _prepare(self) -> None:
        create_tables(self._connected())
        self._connected().commit()
        self._test_write()

    def _test_write(self) -> None:
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


def _insert(connection: Connection, records: Sequence[Any]) -> None:
    """Insert with sqlite3 itself; without BEGIN and COMMIT if one statement holds all records.

    Each statement releases Python's lock and then waits for the threads that answer requests, and
    SQLAlchemy adds its own time: one record takes 0.5 ms through it, and 0.05 ms this way.
    """
    driver: Any = connection.connection.driver_connection
    one_statement = len(records) <= ROWS_PER_STATEMENT
    if not one_statement:
        driver.execute("BEGIN IMMEDIATE")
    for statement, values in sqlite_inserts(records):
        driver.execute(statement, values)
    if not one_statement:
        driver.execute("COMMIT")
