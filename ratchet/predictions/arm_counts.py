"""The counts of a running A/B test, kept in memory and refreshed by a thread of their own.

The log is cut into slices of consecutive requests. The newest slices are counted at each refresh
and the older ones in turn, because labels arrive late. So a refresh costs the same however long
the log is, and readers never wait for a long query.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.predictions.engine import read_engine
from ratchet.predictions.record import first_request_id, time_of
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Window

ROWS_PER_SLICE = 20_000
BUCKETS_PER_SLICE = 60
LATENCIES = 2000  # the newest of an arm
SECONDS_FRESH = 1.0  # counts of this age are good enough
SECONDS_PER_REFRESH = 0.25  # then the oldest counts wait for the next refresh
REST = 9  # times the duration of a refresh: a tenth of a core at most
MAX_AGE = 366 * 24 * 3600.0
# By name: PostgreSQL takes the same expression with other parameters for another one.
BUCKET: ColumnElement[Any] = literal_column("bucket")


class VersionPair(NamedTuple):
    model: str
    prod: str
    staging: str | None


class Bucket(NamedTuple):
    arm: str
    time: float  # the bucket's begin
    requests: int
    labelled: int
    right: int


class Failures(NamedTuple):
    arm: str
    time: float
    requests: int


@dataclass
class Slice:
    """The requests from `first_id` up to and without `end_id`; None: the newest slice."""

    first_id: str
    end_id: str | None = None
    counted_at: float = 0.0
    buckets: Sequence[Bucket] = ()
    failures: Sequence[Failures] = ()
    labelled_users: frozenset[tuple[str, str]] = frozenset()  # pairs of arm and user


@dataclass
class Counts:
    """`is_complete`: every slice has been counted at least once."""

    test: VersionPair
    slices: Sequence[Slice] = ()
    latencies: dict[str, list[float]] = field(default_factory=dict)
    counted_at: float = 0.0
    is_complete: bool = False

    def buckets(self, arm: str, since: float) -> Iterator[Bucket]:
        for one in self.slices:
            yield from (b for b in one.buckets if b.arm == arm and b.time >= since)

    def failures(self, arm: str, since: float) -> int:
        entries = (f for one in self.slices for f in one.failures)
        return sum(f.requests for f in entries if f.arm == arm and f.time >= since)

    def labelled_users(self, arm: str, since: float) -> int:
        """Return the number of labelled users, at most about `max_users`."""
        first = first_request_id(since)
        slices = [one for one in self.slices if one.end_id is None or one.end_id > first]
        return len({pair for one in slices for pair in one.labelled_users if pair[0] == arm})


class ArmCounts:
    """`max_users`: labelled users are counted up to this number, which the decision needs."""

    def __init__(self, url: str, max_users: int) -> None:
        self._engine = read_engine(url)
        self._max_users = max_users
        self._test: VersionPair | None = None
        self._counts: Counts | None = None
        self._is_requested, self._is_closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="arm-counts", daemon=True)
        self._thread.start()

    def latest(self, test: VersionPair) -> Counts | None:
        """Return the newest counts at once, and ask for newer ones if these are old."""
        self._test = test
        counts = self._counts_of(test)
        if not counts or not counts.is_complete or time.time() > counts.counted_at + SECONDS_FRESH:
            self._is_requested.set()
        return counts

    def close(self) -> None:
        self._is_closed.set()
        self._is_requested.set()
        self._thread.join(timeout=5)
        self._engine.dispose()

    def _counts_of(self, test: VersionPair) -> Counts | None:
        counts = self._counts
        return counts if counts and counts.test == test else None

    def _run(self) -> None:
        while True:
            self._is_requested.wait()
            if self._is_closed.is_set():
                return
            self._is_requested.clear()
            started = time.monotonic()
            rest = REST
            with suppress(SQLAlchemyError):  # the database is away: the old counts stay
                if self._test is not None and not self._refresh(self._test):
                    rest = 1  # until the first count of the whole log is complete
                    self._is_requested.set()
            self._is_closed.wait(max(0.05, rest * (time.monotonic() - started)))

    def _refresh(self, test: VersionPair) -> bool:
        """Count the two newest slices, then the others: those counted longest ago first."""
        before = self._counts_of(test) or Counts(test)
        end = time.monotonic() + SECONDS_PER_REFRESH
        with self._engine.connect() as connection:
            slices = _slices(connection, list(before.slices))
            newest, others = slices[-2:], sorted(slices[:-2], key=_age)
            for one in [*reversed(newest), *others]:
                if one not in newest and time.monotonic() > end:
                    break
                self._count(connection, test, one)
            start = slices[-3 if len(slices) > 2 else 0].first_id if slices else ""
            latencies = {arm: _latencies(connection, test, start, arm) for arm in ("A", "B")}
        _forget_users(slices, self._max_users)
        is_complete = all(one.counted_at for one in slices)
        self._counts = Counts(test, slices, latencies, time.time(), is_complete)
        return is_complete

    def _count(self, connection: Connection, test: VersionPair, one: Slice) -> None:
        where = [*_of_test(test), predictions.c.request_id >= one.first_id]
        end = time.time()
        if one.end_id is not None:
            where.append(predictions.c.request_id < one.end_id)
            end = time_of(one.end_id)
        begin = time_of(one.first_id)
        width = max(1.0, (end - begin) / BUCKETS_PER_SLICE)
        one.buckets = list(_buckets(connection, where, begin, width))
        one.failures = list(_failures(connection, where, begin, width))
        one.labelled_users = frozenset(_labelled_users(connection, where, self._max_users))
        one.counted_at = time.time()


def _age(one: Slice) -> tuple[float, str]:
    """Sort key: slices that were never counted come first, the newest of them first."""
    return (one.counted_at, "") if one.counted_at else (-time_of(one.first_id), "")


def _of_test(test: VersionPair) -> list[ColumnElement[bool]]:
    conditions = Window(test.prod, test.staging, model=test.model).conditions()
    if test.staging is None:
        conditions.append(predictions.c.staging_version.is_(None))
    return conditions


def _slices(connection: Connection, slices: list[Slice]) -> list[Slice]:
    """Add slices for what has been logged since; the last one stays open."""
    ids = predictions.c.request_id
    if not slices:
        oldest = select(func.min(ids)).where(ids >= first_request_id(time.time() - MAX_AGE))
        first = connection.execute(oldest).scalar()
        if first is None:
            return []
        slices = [Slice(first)]
    while True:
        last = slices[-1]
        next_id = connection.execute(
            select(ids).where(ids >= last.first_id).order_by(ids).offset(ROWS_PER_SLICE).limit(1)
        ).scalar()
        if next_id is None:
            return slices
        last.end_id = next_id
        slices.append(Slice(next_id))


def _bucket_number(begin: float, width: float) -> ColumnElement[Any]:
    return func.floor((predictions.c.time - begin) / width).label("bucket")


def _buckets(
    connection: Connection, where: Sequence[Any], begin: float, width: float
) -> Iterator[Bucket]:
    p, bucket = predictions.c, _bucket_number(begin, width)
    right = func.sum(case((p.label == p.prediction, 1), else_=0))
    statement = select(p.arm, bucket, func.count(), func.count(p.label), right).where(*where)
    for row in connection.execute(statement.group_by(p.arm, BUCKET)):
        yield Bucket(row[0], begin + int(row[1]) * width, row[2], row[3], int(row[4]))


def _failures(
    connection: Connection, where: Sequence[Any], begin: float, width: float
) -> Iterator[Failures]:
    p, bucket = predictions.c, _bucket_number(begin, width)
    statement = select(p.assigned_arm, bucket, func.count()).where(*where, p.error.is_not(None))
    for row in connection.execute(statement.group_by(p.assigned_arm, BUCKET)):
        yield Failures(row[0], begin + int(row[1]) * width, row[2])


def _labelled_users(
    connection: Connection, where: Sequence[Any], limit: int
) -> Iterable[tuple[str, str]]:
    p = predictions.c
    for arm in ("A", "B"):
        labelled = select(p.user_id).where(*where, p.arm == arm, p.label.is_not(None))
        users = connection.execute(labelled.distinct().limit(limit)).scalars()
        yield from ((arm, user) for user in users)


def _latencies(connection: Connection, test: VersionPair, first_id: str, arm: str) -> list[float]:
    p = predictions.c
    statement = select(p.latency_ms).where(*_of_test(test), p.arm == arm, p.request_id >= first_id)
    newest = statement.order_by(p.request_id.desc()).limit(LATENCIES)
    return sorted(connection.execute(newest).scalars())


def _forget_users(slices: Sequence[Slice], limit: int) -> None:
    """Keep the users of the newest slices only, once these are as many as are counted."""
    known: set[tuple[str, str]] = set()
    for one in reversed(slices):
        counts = [sum(pair[0] == arm for pair in known) for arm in ("A", "B")]
        if min(counts) >= limit:
            one.labelled_users = frozenset()
        known |= one.labelled_users
