"""The database that holds the prediction log: SQLite or PostgreSQL."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from ratchet.errors import InputError

DEFAULT_URL = "sqlite:///predictions.db"
SECONDS_TO_WAIT_FOR_LOCK = 10
PAGES_PER_CHECKPOINT = 4000  # of 4 kB; writers wait for the disk during a checkpoint
SECONDS_TO_CONNECT = 10  # for a reader, which has no journal to go to
MAX_WAL_BYTES = 64 * 1024 * 1024  # that stay on disk after a long read let the WAL grow

# libpq options: how soon a connection to a server that does not answer fails.
POSTGRESQL_TIMEOUTS = {
    "tcp_user_timeout": 5000,  # milliseconds
    "keepalives_idle": 5,  # seconds, like the next
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def log_url() -> str:
    return os.environ.get("RATCHET_LOG_URL", DEFAULT_URL)


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql")


def without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "..."


def error_reason(error: Exception) -> str:
    """Return the driver's message in one line, without the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def sqlite_file(url: str) -> Path | None:
    file = make_url(url).database if url.startswith("sqlite") else None
    return Path(file) if file else None


def open_engine(url: str, connect_timeout: int = 2) -> Engine:
    """Return an engine for the log's database.

    SQLite runs in WAL mode: readers and the writer do not wait for each other. With
    synchronous=NORMAL a commit has reached the operating system before the answer is sent, so no
    killed process loses it. A power failure may lose the last moments, but never breaks the file.
    FULL (`?synchronous=FULL`) waits for the disk at every commit.
    """
    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite":
            return _sqlite(address)
        if address.get_backend_name() == "postgresql":
            return create_engine(
                address,
                pool_pre_ping=True,
                paramstyle="format",
                connect_args=POSTGRESQL_TIMEOUTS | {"connect_timeout": connect_timeout},
            )
    except (ArgumentError, ModuleNotFoundError) as error:
        raise InputError(f"RATCHET_LOG_URL={without_password(url)}: {error}") from None
    raise InputError(
        f"RATCHET_LOG_URL={without_password(url)}: expected sqlite:///... or postgresql://..."
    )


def read_engine(url: str) -> Engine:
    """Return an engine for reading: its transactions do not take SQLite's single write lock."""
    return open_engine(url, connect_timeout=SECONDS_TO_CONNECT).execution_options(reads=True)


def _sqlite(address: URL) -> Engine:
    synchronous = str(address.query.get("synchronous", "NORMAL")).upper()
    if synchronous not in ("NORMAL", "FULL"):
        raise InputError(f"RATCHET_LOG_URL: synchronous={synchronous}, expected NORMAL or FULL")
    if address.database:
        Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        address.difference_update_query(["synchronous"]),
        paramstyle="qmark",
        connect_args={"timeout": SECONDS_TO_WAIT_FOR_LOCK, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # _begin below starts the transactions
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # for a new file; see maintenance.py
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_PER_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL_BYTES}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        """Take the write lock at once: SQLite refuses a reader that becomes a writer too late."""
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
