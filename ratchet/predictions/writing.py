"""The statements that write records, labels and shadows, in the caller's transaction."""

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, compress, count, islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import registry

from ratchet.predictions.record import (
    Label,
    LabelOutcome,
    LabelResult,
    Record,
    Shadow,
    Work,
    are_labels,
)
from ratchet.predictions.tables import insert_if_new, predictions, refused_labels

ROWS_PER_STATEMENT = 64
IDS_PER_QUERY = 500
SHADOW_COLUMNS = ("shadow_version", "shadow_prediction", "shadow_probabilities", "shadow_error")


def write(connection: Connection, works: Sequence[Work]) -> list[Any]:
    """Return a list of LabelResults for each work of labels, and None for each other work."""
    items = list(chain.from_iterable(works))
    write_records(connection, [item for item in items if isinstance(item, Record)])
    write_shadows(connection, [item for item in items if isinstance(item, Shadow)])
    labels = [item for item in items if isinstance(item, Label)]
    results = iter(write_labels(connection, labels) if labels else [])
    return [list(islice(results, len(w))) if are_labels(w) else None for w in works]


def write_records(connection: Connection, records: Sequence[Record]) -> None:
    """Insert the records that are new: a record that is sent twice is kept once."""
    dialect = connection.dialect.name
    if dialect == "postgresql" and records:  # psycopg sends them all before it waits
        connection.exec_driver_sql(insert_statement(dialect, 1), list(records))
        return
    for statement, values in sqlite_inserts(records):
        connection.exec_driver_sql(statement, tuple(values))


def sqlite_inserts(records: Sequence[Record]) -> Iterator[tuple[str, list[Any]]]:
    """Yield statements and values. A value that all rows of a full statement share is bound once.

    That saves a third of the time if two arms answered, and half of it if one did.
    """
    for start in range(0, len(records), ROWS_PER_STATEMENT):
        rows = records[start : start + ROWS_PER_STATEMENT]
        if len(rows) < ROWS_PER_STATEMENT:
            yield insert_statement("sqlite", len(rows)), list(chain.from_iterable(rows))
            return
        columns = list(zip(*rows, strict=True))
        shared = [column.count(column[0]) == len(rows) for column in columns]
        own = [column for column, is_shared in zip(columns, shared, strict=True) if not is_shared]
        first = list(compress(rows[0], shared))
        values = [*first, *chain.from_iterable(zip(*own, strict=True))]
        yield _full_statement(tuple(shared)), values


@cache
def insert_statement(dialect: str, rows: int) -> str:
    paramstyle = "qmark" if dialect == "sqlite" else "format"
    compiled = insert_if_new(predictions, dialect).compile(
        dialect=registry.load(dialect)(paramstyle=paramstyle), column_keys=list(Record._fields)
    )
    head, rest = str(compiled).split(" VALUES ")
    row, tail = rest.split(" ON CONFLICT ")
    return f"{head} VALUES {', '.join([row] * rows)} ON CONFLICT {tail}"


@lru_cache(maxsize=32)
def _full_statement(shared: tuple[bool, ...]) -> str:
    """Number the parameters: first those of the shared columns, then those of each row."""
    shared_numbers, own_numbers = count(1), count(1 + sum(shared))
    fixed = [next(shared_numbers) if is_shared else None for is_shared in shared]
    numbers = (number or next(own_numbers) for _ in range(ROWS_PER_STATEMENT) for number in fixed)
    plain = insert_statement("sqlite", ROWS_PER_STATEMENT)
    return re.sub(r"\?", lambda _: f"?{next(numbers)}", plain)


def write_shadows(connection: Connection, shadows: Sequence[Shadow]) -> None:
    if shadows:
        statement = update(predictions).where(predictions.c.request_id == bindparam("id"))
        values = [dict(zip(("id", *SHADOW_COLUMNS), shadow, strict=True)) for shadow in shadows]
        connection.execute(statement.values({c: bindparam(c) for c in SHADOW_COLUMNS}), values)


class Answered(NamedTuple):
    """The answer that a label is about, and the label it has so far."""

    arm: str
    model_version: str
    prediction: str
    label: str | None

    def result(self, label: str) -> LabelResult:
        outcome: LabelOutcome = "same" if self.label == label else "conflict"
        outcome = "set" if self.label is None else outcome
        return LabelResult(outcome, self.arm, self.model_version, self.prediction == label)


def write_labels(connection: Connection, labels: Sequence[Label]) -> list[LabelResult]:
    """Set each label once. A second, different label is refused and recorded."""
    answers = _answers(connection, sorted({label.request_id for label in labels}))
    results: list[LabelResult] = []
    new, refused = [], list[tuple[Label, str | None]]()
    for label in labels:
        answer = answers.get(label.request_id)
        result = answer.result(label.label) if answer else LabelResult("unknown")
        results.append(result)
        if answer and result.outcome == "set":
            answers[label.request_id] = answer._replace(label=label.label)
            new.append({"id": label.request_id, "label": label.label, "label_time": label.time})
        elif answer and result.outcome == "conflict":
            refused.append((label, answer.label))
    if new:
        statement = update(predictions).where(predictions.c.request_id == bindparam("id"))
        connection.execute(
            statement.values(label=bindparam("label"), label_time=bindparam("label_time")), new
        )
    write_refused(connection, refused)
    return results


def write_refused(connection: Connection, refused: Sequence[tuple[Label, str | None]]) -> None:
    """Record refused labels, each with the label that stays (None if the request is unknown)."""
    if refused:
        statement = insert_if_new(refused_labels, connection.dialect.name)
        connection.execute(statement, [label._asdict() | {"kept": kept} for label, kept in refused])


def _answers(connection: Connection, ids: Sequence[str]) -> dict[str, Answered]:
    """Lock the rows in the order of the ids, so that two replicas cannot deadlock."""
    p = predictions.c
    answers: dict[str, Answered] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        statement = (
            select(p.request_id, p.arm, p.model_version, p.prediction, p.label)
            .where(p.request_id.in_(ids[start : start + IDS_PER_QUERY]))
            .order_by(p.request_id)
            .with_for_update()
        )
        answers.update((row[0], Answered(*row[1:])) for row in connection.execute(statement))
    return answers
