"""The tables of the prediction log."""

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
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

metadata = MetaData()

predictions = Table(
    "predictions",
    metadata,
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
    sqlite_with_rowid=False,  # the primary key is the table: the ids are stored once
)

splits = Table(
    "splits",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", Double, nullable=False),
    Column("value", Double, nullable=False),
    Column("by", Text, nullable=False),
)

assignment_secret = Table(
    "assignment_secret",
    metadata,
    Column("id", Integer, primary_key=True),  # always 0
    Column("value", Text, nullable=False),
)

refused_labels = Table(
    "refused_labels",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kept", Text),  # the label that stays; null if no such request is known
)


def insert_if_new(table: Table, dialect: str) -> Insert:
    """Return an insert that changes nothing if a row with the same key exists."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def create_tables(on: Engine | Connection) -> None:
    """Create the tables that are missing. Several workers may do so at the same time."""
    try:
        metadata.create_all(on)
    except SQLAlchemyError:  # another worker created them in between
        if isinstance(on, Connection):
            on.rollback()
        metadata.create_all(on)
