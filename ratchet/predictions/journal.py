"""The journal: a SQLite file that keeps what PostgreSQL could not take while it was away.

All workers of a machine share one.
"""

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
)
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.engine import error_reason, open_engine
from ratchet.predictions.record import Label, LabelResult, Record, Shadow, Work, are_labels
from ratchet.predictions.writing import IDS_PER_QUERY, Answered

DEFAULT_PATH = "predictions-journal.db"
KEPT_LABEL = "KeptLabel"  # a label whose request is not here, so that its outcome is not known yet
ITEM_TYPES: dict[str, Any] = {
    "Record": Record,
    "Shadow": Shadow,
    "Label": Label,
    KEPT_LABEL: Label,
}

metadata = MetaData()
entries = Table(
    "entries",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("request_id", Text, nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("refused", Text),  # the reason why PostgreSQL did not take it
)
last_split = Table("last_split", metadata, Column("content", Text, nullable=False))
IS_WAITING = entries.c.refused.is_(None)


class Entry(NamedTuple):
    number: int
    time: float
    content: Record | Shadow | Label
    kind: str


def journal_path() -> str:
    return os.environ.get("RATCHET_LOG_JOURNAL", DEFAULT_PATH)


class Journal:
    def __init__(self, path: str) -> None:
        self.path = path
        self._engine = open_engine(f"sqlite:///{path}")
        metadata.create_all(self._engine)

    def write(self, works: Sequence[Work]) -> Sequence[Any]:
        """Keep everything in the order given, so that a label comes after its request."""
        items = [item for work in works for item in work if not isinstance(item, Label)]
        try:
            with self._engine.begin() as connection:
                _keep(connection, items)
                return [_keep_labels(connection, w) if are_labels(w) else None for w in works]
        except SQLAlchemyError as error:
            raise LogError(
                "Neither PostgreSQL nor the journal takes writes", error_reason(error)
            ) from None

    def holds(self, ids: Iterable[str]) -> set[str]:
        """Return those of the given requests that wait in the journal."""
        with self._reader() as connection:
            if _is_empty(connection):
                return set()
            return set(_waiting(connection, ids))

    def is_empty(self) -> bool:
        with self._reader() as connection:
            return _is_empty(connection)

    def after(self, number: int, limit: int) -> list[Entry]:
        with self._reader() as connection:
            following = select(entries).where(entries.c.number > number, IS_WAITING)
            rows = connection.execute(following.order_by(entries.c.number).limit(limit))
            return [
                Entry(row.number, row.time, _item(row.kind, row.content), row.kind) for row in rows
            ]

    def remove(self, numbers: Sequence[int]) -> None:
        self._for_each(delete(entries), numbers, {})

    def refuse(self, number: int, reason: str) -> None:
        self._for_each(update(entries), [number], {"refused": reason})

    def remember_split(self, content: Sequence[Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(last_split))
            connection.execute(insert(last_split), {"content": json.dumps(content)})

    def remembered_split(self) -> list[Any] | None:
        with self._reader() as connection:
            content = connection.execute(select(last_split.c.content)).scalar()
            return None if content is None else json.loads(content)

    def close(self) -> None:
        self._engine.dispose()

    def _reader(self) -> Connection:
        return self._engine.execution_options(reads=True).connect()

    def _for_each(self, statement: Any, numbers: Sequence[int], values: dict[str, Any]) -> None:
        if numbers:
            statement = statement.where(entries.c.number == bindparam("entry"))
            with self._engine.begin() as connection:
                connection.execute(statement, [{"entry": number, **values} for number in numbers])


def _keep(
    connection: Connection, items: Sequence[Record | Shadow | Label], kinds: Sequence[str] = ()
) -> None:
    now = time.time()
    rows = [
        {
            "time": now,
            "kind": kind,
            "request_id": item.request_id,
            "content": json.dumps(item),
        }
        for item, kind in zip(items, kinds or [type(i).__name__ for i in items], strict=True)
    ]
    if rows:
        connection.execute(insert(entries), rows)


def _keep_labels(connection: Connection, labels: Sequence[Label]) -> list[LabelResult]:
    """Keep all of them, conflicts too: it is PostgreSQL's table that records conflicts."""
    waiting = _waiting(connection, {label.request_id for label in labels})
    results: list[LabelResult] = []
    for label in labels:
        answer = waiting.get(label.request_id)
        results.append(answer.result(label.label) if answer else LabelResult("kept"))
        if answer and answer.label is None:
            waiting[label.request_id] = answer._replace(label=label.label)
    kinds = [KEPT_LABEL if result.outcome == "kept" else "Label" for result in results]
    _keep(connection, labels, kinds)
    return results


def _waiting(connection: Connection, ids: Iterable[str]) -> dict[str, Answered]:
    """Return the requests that wait here, each with its first label."""
    answers: dict[str, Answered] = {}
    for item in _items_of(connection, list(ids)):
        answer = answers.get(item.request_id)
        if isinstance(item, Record):
            fields = (item.arm, item.model_version, item.prediction, item.label)
            answers[item.request_id] = Answered(*fields)
        elif isinstance(item, Label) and answer and answer.label is None:
            answers[item.request_id] = answer._replace(label=item.label)
    return answers


def _items_of(connection: Connection, ids: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(ids), IDS_PER_QUERY):
        statement = (
            select(entries.c.kind, entries.c.content)
            .where(entries.c.request_id.in_(ids[start : start + IDS_PER_QUERY]))
            .where(IS_WAITING)
            .order_by(entries.c.number)
        )
        for row in connection.execute(statement).fetchall():
            yield _item(row.kind, row.content)


def _item(kind: str, content: str) -> Any:
    return ITEM_TYPES[kind](*json.loads(content))


def _is_empty(connection: Connection) -> bool:
    statement = select(entries.c.number).where(IS_WAITING).limit(1)
    return connection.execute(statement).first() is None
