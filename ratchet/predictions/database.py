"""The connection that writes to the log's database."""

import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.engine import error_reason, open_engine, sqlite_file
from ratchet.predictions.record import Label, Record, Work
from ratchet.predictions.tables import create_tables, splits
from ratchet.predictions.writing import ROWS_PER_STATEMENT, sqlite_inserts, write, write_refused

Result = TypeVar("Result")

DELETED = (
    "The prediction log's file was deleted or replaced. Put it back, or restart the service to"
    " begin a new one"
)
SECONDS_TO_ANSWER = 5.0  # for PostgreSQL; then its connection is cut
CONTENT_ERRORS = (
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
# Classes of SQLSTATE that say that the server, not the content, is the reason: connection,
# authorization, transaction rolled back, missing database or table, resources, shutdown, I/O.
SERVER_CLASSES = ("08", "25", "28", "3D", "40", "42", "53", "55", "57", "58", "F0")


class Database:
    """A connection for one thread. After an error it connects again."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self._connection: Connection | None = None
        self._file = sqlite_file(url)
        self._file_id: tuple[int, int] | None = None  # of the file that the connection writes to
        self._busy_since: float | None = None

    def prepare(self) -> None:
        """Create missing tables and make a test write. Raise LogError if either fails."""
        self.call(_prepare)

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        return self.call(partial(_write, works=works))

    def refuse(self, labels: Sequence[Label]) -> None:
        """Record labels whose requests are unknown."""

        def refuse(connection: Connection) -> None:
            with connection.begin():
                write_refused(connection, [(label, None) for label in labels])

        if labels:
            self.call(refuse)

    def hang_up(self) -> None:
        """Cut the connection, from another thread, if PostgreSQL has not answered in time.

        A frozen server, or a network that drops packets, never closes a connection itself.
        """
        busy_since, connection = self._busy_since, self._connection
        if busy_since and connection and time.monotonic() - busy_since > SECONDS_TO_ANSWER:
            driver: Any = connection.connection.driver_connection
            with socket.socket(fileno=os.dup(driver.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._disconnect()
        self.engine.dispose()

    def call(self, function: Callable[[Connection], Result]) -> Result:
        """Call a function with the connection, and turn database errors into LogErrors."""
        self._busy_since = time.monotonic()
        try:
            result = function(self._connected())
            self._require_same_file()
            return result
        except (SQLAlchemyError, sqlite3.Error, ValueError, TypeError, OverflowError) as error:
            self._disconnect()
            raise _log_error(error, self.engine.dialect.name) from None
        finally:
            self._busy_since = None

    def _connected(self) -> Connection:
        if self._connection is None:
            if self._file_id and not _file_id(self._file):  # SQLite would create an empty file
                raise LogError(DELETED)
            self._connection = self.engine.connect()
            if self._file_id and self._file_id != _file_id(self._file):
                create_tables(self._connection)
                self._connection.commit()
            self._file_id = _file_id(self._file)
        return self._connection

    def _require_same_file(self) -> None:
        """Raise LogError if the file is no longer the one that the connection writes to.

        SQLite does not notice that a file was deleted, and goes on writing to it.
        """
        if self._file_id != _file_id(self._file):
            self._disconnect()
            raise LogError(DELETED)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _file_id(file: Path | None) -> tuple[int, int] | None:
    try:
        status = file.stat() if file else None
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def _log_error(error: Exception, dialect: str) -> LogError:
    reason, sqlstate = error_reason(error), _sqlstate(error)
    is_content = isinstance(error, CONTENT_ERRORS)
    if sqlstate:
        is_content = not sqlstate.startswith(SERVER_CLASSES)
    # PostgreSQL's own text may name the host, the port and the columns.
    detail = f"SQLSTATE {sqlstate}" if sqlstate else "PostgreSQL does not answer"
    detail = reason if dialect == "sqlite" else detail
    if is_content:
        detail = f"it refuses this content ({sqlstate})" if sqlstate else reason
        return RefusedError(f"The prediction log cannot hold this: {detail}", reason)
    return LogError(f"The prediction log takes no writes: {detail}", reason)


def _sqlstate(error: Exception) -> str | None:
    state: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state


def _prepare(connection: Connection) -> None:
    create_tables(connection)
    connection.commit()
    _test_write(connection)


def _write(connection: Connection, works: Sequence[Work]) -> Sequence[Any]:
    items = list(chain.from_iterable(works))
    if not items:
        _test_write(connection)
    elif connection.dialect.name == "sqlite" and all(type(item) is Record for item in items):
        _insert(connection, items)
        return [None] * len(works)
    with connection.begin():
        return write(connection, works)


def _test_write(connection: Connection) -> None:
    with connection.begin():
        connection.execute(update(splits).where(splits.c.id == 0).values(by=splits.c.by))


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
