"""Records, labels and shadows into the tables, in the transaction of the caller."""

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, compress, count, islice
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import registry

from ratchet.predictions.record import Label, LabelOutcome, Record, Shadow, Work, are_labels
from ratchet.predictions.tables import insert_if_new, predictions, refused_labels

ROWS_A_STATEMENT = 64
IDS_A_QUERY = 500


def store(connection: Connection, works: Sequence[Work]) -> list[Any]:
    """For each piece of work its result: what became of each label, and None for the others."""
    store_records(connection, [one for work in works for one in work if isinstance(one, Record)])
    store_shadows(connection, [one for work in works for one in work if isinstance(one, Shadow)])
    labels = [one for work in works for one in work if isinstance(one, Label)]
    outcomes = iter(store_labels(connection, labels) if labels else [])
    return [list(islice(outcomes, len(w))) if are_labels(w) else None for w in works]


def store_records(connection: Connection, records: Sequence[Record]) -> None:
    """A record that is there already stays as it is: one sent twice is kept once."""
    dialect = connection.dialect.name
    if dialect == "postgresql" and records:  # psycopg sends them all before it waits
        connection.exec_driver_sql(insert_statement(dialect, 1), list(records))
        return
    for statement, values in inserts(records):
        connection.exec_driver_sql(statement, tuple(values))


def inserts(records: Sequence[Record]) -> Iterator[tuple[str, list[Any]]]:
    """For SQLite. What all rows of a full statement share is bound once.

    That saves a third of the time where two arms answered, and half where one did.
    """
    for start in range(0, len(records), ROWS_A_STATEMENT):
        rows = records[start : start + ROWS_A_STATEMENT]
        if len(rows) < ROWS_A_STATEMENT:
            yield insert_statement("sqlite", len(rows)), list(chain.from_iterable(rows))
            return
        columns = list(zip(*rows, strict=True))
        shared = [column.count(column[0]) == len(rows) for column in columns]
        own = [column for column, once in zip(columns, shared, strict=True) if not once]
        first = list(compress(rows[0], shared))
        yield _full_statement(tuple(shared)), [*first, *chain.from_iterable(zip(*own, strict=True))]


@cache
def insert_statement(dialect: str, rows: int) -> str:
    paramstyle = "qmark" if dialect == "sqlite" else "format"
    one = insert_if_new(predictions, dialect).compile(
        dialect=registry.load(dialect)(paramstyle=paramstyle), column_keys=list(Record._fields)
    )
    head, rest = str(one).split(" VALUES ")
    row, tail = rest.split(" ON CONFLICT ")
    return f"{head} VALUES {', '.join([row] * rows)} ON CONFLICT {tail}"


@lru_cache(maxsize=32)
def _full_statement(shared: tuple[bool, ...]) -> str:
    """Numbered: first the places of the shared columns, then those of each row's own."""
    once, own = count(1), count(1 + sum(shared))
    fixed = [next(once) if is_shared else None for is_shared in shared]
    places = (place or next(own) for _ in range(ROWS_A_STATEMENT) for place in fixed)
    plain = insert_statement("sqlite", ROWS_A_STATEMENT)
    return re.sub(r"\?", lambda _: f"?{next(places)}", plain)


def store_shadows(connection: Connection, shadows: Sequence[Shadow]) -> None:
    if shadows:
        statement = update(predictions).where(predictions.c.request_id == bindparam("id"))
        values = [dict(zip(("id", *SHADOW_COLUMNS), shadow, strict=True)) for shadow in shadows]
        connection.execute(statement.values({c: bindparam(c) for c in SHADOW_COLUMNS}), values)


SHADOW_COLUMNS = ("shadow_version", "shadow_prediction", "shadow_probabilities", "shadow_error")


def store_labels(connection: Connection, labels: Sequence[Label]) -> list[LabelOutcome]:
    """A label is set once. Another one for the same request is refused, and kept beside."""
    held = _held_labels(connection, sorted({label.request_id for label in labels}))
    outcomes: list[LabelOutcome] = []
    new, refused = [], list[tuple[Label, str | None]]()
    for one in labels:
        before = held.get(one.request_id, MISSING)
        if before is MISSING:
            outcomes.append("unknown")
        elif before is None:
            held[one.request_id] = one.label
            new.append({"id": one.request_id, "label": one.label, "label_time": one.time})
            outcomes.append("set")
        elif before == one.label:
            outcomes.append("same")
        else:
            refused.append((one, before))
            outcomes.append("conflict")
    if new:
        statement = update(predictions).where(predictions.c.request_id == bindparam("id"))
        connection.execute(
            statement.values(label=bindparam("label"), label_time=bindparam("label_time")), new
        )
    store_refused(connection, refused)
    return outcomes


def store_refused(connection: Connection, refused: Sequence[tuple[Label, str | None]]) -> None:
    """Each with the label that stays; with None where no such request is known."""
    if refused:
        statement = insert_if_new(refused_labels, connection.dialect.name)
        connection.execute(statement, [one._asdict() | {"kept": kept} for one, kept in refused])


MISSING = object()


def _held_labels(connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
    """In the order of the ids and locked: two replicas that label the same do not deadlock."""
    held: dict[str, Any] = {}
    for start in range(0, len(ids), IDS_A_QUERY):
        statement = (
            select(predictions.c.request_id, predictions.c.label)
            .where(predictions.c.request_id.in_(ids[start : start + IDS_A_QUERY]))
            .order_by(predictions.c.request_id)
            .with_for_update()
        )
        held.update((row.request_id, row.label) for row in connection.execute(statement))
    return held
