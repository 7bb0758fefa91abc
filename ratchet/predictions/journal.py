"""What PostgreSQL could not take while it was away: a SQLite file for the workers of a machine."""

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)  # fmt: skip
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.group_commit import LogError
from ratchet.predictions.record import Label, LabelOutcome, Record, Shadow, Work, are_labels
from ratchet.predictions.tables import open_engine, reason

DEFAULT_PATH = "predictions-journal.db"
IDS_A_QUERY = 500
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Record, Shadow, Label)}

metadata = MetaData()
entries = Table(
    "entries", metadata,
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("request_id", Text, nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("refused", Text),  # why PostgreSQL did not take it
)  # fmt: skip
last_split = Table("last_split", metadata, Column("content", Text, nullable=False))


class Entry(NamedTuple):
    number: int
    time: float
    content: Record | Shadow | Label


def journal_path() -> str:
    return os.environ.get("RATCHET_LOG_JOURNAL", DEFAULT_PATH)


class Journal:
    def __init__(self, path: str) -> None:
        self.path = path
        self._engine = open_engine(f"sqlite:///{path}")
        metadata.create_all(self._engine)

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        """In the order given, so a label comes after its request."""
        try:
            with self._engine.begin() as connection:
                _keep(connection, [one for w in works for one in w if not isinstance(one, Label)])
                return [_keep_labels(connection, w) if are_labels(w) else None for w in works]
        except SQLAlchemyError as error:
            raise LogError(
                f"neither PostgreSQL nor the journal takes writes: {reason(error)}"
            ) from None

    def holds(self, ids: Iterable[str]) -> set[str]:
        """Of these requests, those that wait here."""
        with self._engine.execution_options(reads=True).connect() as connection:
            if _is_empty(connection):
                return set()
            return set(_waiting(connection, ids))

    def is_empty(self) -> bool:
        with self._engine.execution_options(reads=True).connect() as connection:
            return _is_empty(connection)

    def after(self, number: int, most: int) -> list[Entry]:
        with self._engine.execution_options(reads=True).connect() as connection:
            following = select(entries).where(entries.c.number > number, _WAITS)
            rows = connection.execute(following.order_by(entries.c.number).limit(most))
            return [Entry(row.number, row.time, _item(row.kind, row.content)) for row in rows]

    def remove(self, numbers: Sequence[int]) -> None:
        self._for_each(delete(entries), numbers, {})

    def refuse(self, number: int, reason: str) -> None:
        self._for_each(update(entries), [number], {"refused": reason})

    def remember_split(self, content: Sequence[Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(last_split))
            connection.execute(insert(last_split), {"content": json.dumps(content)})

    def remembered_split(self) -> list[Any] | None:
        with self._engine.execution_options(reads=True).connect() as connection:
            content = connection.execute(select(last_split.c.content)).scalar()
            return None if content is None else json.loads(content)

    def close(self) -> None:
        self._engine.dispose()

    def _for_each(self, statement: Any, numbers: Sequence[int], values: dict[str, Any]) -> None:
        if numbers:
            statement = statement.where(entries.c.number == bindparam("of"))
            with self._engine.begin() as connection:
                connection.execute(statement, [{"of": number, **values} for number in numbers])


def _keep(connection: Connection, items: Sequence[Record | Shadow | Label]) -> None:
    rows = [
        {
            "time": time.time(), "kind": type(one).__name__, "request_id": one.request_id,
            "content": json.dumps(one),
        }
        for one in items
    ]  # fmt: skip
    if rows:
        connection.execute(insert(entries), rows)


def _keep_labels(connection: Connection, labels: Sequence[Label]) -> list[LabelOutcome]:
    """All of them, conflicts too: PostgreSQL's table is where a conflict is recorded."""
    waiting = _waiting(connection, {label.request_id for label in labels})
    outcomes: list[LabelOutcome] = []
    for one in labels:
        held = waiting.get(one.request_id, UNKNOWN)
        if held is UNKNOWN:
            outcomes.append("kept")
        elif held is None:
            outcomes.append("set")
            waiting[one.request_id] = one.label
        else:
            outcomes.append("same" if held == one.label else "conflict")
    _keep(connection, labels)
    return outcomes


UNKNOWN = object()


def _waiting(connection: Connection, ids: Iterable[str]) -> dict[str, Any]:
    """The requests that are here, each with the label it has so far."""
    found: dict[str, Any] = {}
    for one in _of_requests(connection, list(ids)):
        first_label = isinstance(one, Label) and found.get(one.request_id, UNKNOWN) is None
        if isinstance(one, Record) or first_label:
            found[one.request_id] = one.label
    return found


def _of_requests(connection: Connection, ids: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(ids), IDS_A_QUERY):
        statement = (
            select(entries.c.kind, entries.c.content)
            .where(entries.c.request_id.in_(ids[start : start + IDS_A_QUERY]))
            .where(_WAITS)
            .order_by(entries.c.number)
        )
        for row in connection.execute(statement).fetchall():
            yield _item(row.kind, row.content)


def _item(kind: str, content: str) -> Any:
    return KINDS[kind](*json.loads(content))


_WAITS = entries.c.refused.is_(None)


def _is_empty(connection: Connection) -> bool:
    statement = select(entries.c.number).where(_WAITS).limit(1)
    return connection.execute(statement).first() is None
