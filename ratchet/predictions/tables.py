"""The log's tables, in SQLite or PostgreSQL."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    Insert,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)  # fmt: skip
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ratchet.errors import InputError

DEFAULT_URL = "sqlite:///predictions.db"
SECONDS_TO_WAIT = 10  # for another worker's commit
PAGES_A_CHECKPOINT = 4000  # of 4 kB: each checkpoint waits for the disk, and whoever writes for it
MOST_BYTES_OF_WAL = 64 * 1024 * 1024  # that stay on disk when a long read had let it grow

# With PostgreSQL: how soon one that does not answer is gone. Seconds, but the second.
PATIENCE = {
    "connect_timeout": 2, "tcp_user_timeout": 5000,
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
}  # fmt: skip

metadata = MetaData()

predictions = Table(
    "predictions", metadata,
    Column("request_id", Text, primary_key=True),
    Column("time", Double, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("prod_version", Text, nullable=False),
    Column("staging_version", Text),
    Column("assigned_arm", Text, nullable=False),
    Column("split", Double, nullable=False),
    Column("features", Text, nullable=False),
    Column("prediction", Text, nullable=False),
    Column("probabilities", Text),
    Column("latency_ms", Double, nullable=False),
    Column("error", Text),
    Column("fallback", Boolean, nullable=False),
    Column("label", Text),
    Column("label_time", Double),
    Column("shadow_version", Text),
    Column("shadow_prediction", Text),
    Column("shadow_probabilities", Text),
    Column("shadow_error", Text),
)  # fmt: skip

splits = Table(
    "splits", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", Double, nullable=False),
    Column("value", Double, nullable=False),
    Column("by", Text, nullable=False),
)  # fmt: skip

refused_labels = Table(
    "refused_labels", metadata,
    Column("request_id", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kept", Text),  # the label that stays; null where no such request is known
)  # fmt: skip


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql")


def shown(url: str) -> str:
    """Without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "..."


def reason(error: Exception) -> str:
    """In one line, and without the statement and its values."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def log_url() -> str:
    return os.environ.get("RATCHET_LOG_URL", DEFAULT_URL)


def open_engine(url: str) -> Engine:
    """SQLite in WAL mode: readers and the writer do not wait for each other.

    synchronous=NORMAL: a commit is with the operating system before the answer leaves, so no kill
    of a process loses it; a power cut may lose the last moments but never breaks the file.
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
                connect_args={"connect_timeout": 2},
            )
    except (ArgumentError, ModuleNotFoundError) as error:
        raise InputError(f"RATCHET_LOG_URL={shown(url)}: {error}") from None
    raise InputError(f"RATCHET_LOG_URL={shown(url)}: expected sqlite:///... or postgresql://...")


def _sqlite(address: Any) -> Engine:
    synchronous = str(address.query.get("synchronous", "NORMAL")).upper()
    if synchronous not in ("NORMAL", "FULL"):
        raise InputError(f"RATCHET_LOG_URL: synchronous={synchronous}, expected NORMAL or FULL")
    if address.database:
        Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        address.difference_update_query(["synchronous"]),
        paramstyle="qmark",
        connect_args={"timeout": SECONDS_TO_WAIT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_A_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit = {MOST_BYTES_OF_WAL}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        """A reader that turns writer would be refused where another wrote in between."""
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def insert_if_new(table: Table, dialect: str) -> Insert:
    """A row whose key is there already changes nothing."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def create_tables(on: Engine | Connection) -> None:
    """Several workers may start at once: who comes second finds them made."""
    try:
        metadata.create_all(on)
    except SQLAlchemyError:
        if isinstance(on, Connection):
            on.rollback()
        metadata.create_all(on)
