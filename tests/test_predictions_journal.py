"""The journal, while PostgreSQL stops and starts under load: no record is lost or duplicated."""

import fcntl
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.database import Database
from ratchet.predictions.engine import read_engine
from ratchet.predictions.journal import Journal
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.reading import read_log
from ratchet.predictions.record import Label, LabelResult, Shadow
from ratchet.predictions.tables import predictions, refused_labels, splits
from ratchet.settings import ABSettings
from tests.clusters import Cluster, new_cluster
from tests.records import a_record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with new_cluster() as one:
        yield one


@pytest.fixture
def url(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a database of the test's own. A test may stop the server; the next one starts it."""
    monkeypatch.setenv("RATCHET_LOG_JOURNAL", str(tmp_path / "journal.db"))
    if not cluster.is_up:
        cluster.start()
    return cluster.create(f"log{time.time_ns()}")


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.05)


def ids_in(url: str) -> list[str]:
    return list(read_log(url, columns=("request_id",)).frame["request_id"])


def label_of(url: str, request_id: str) -> object:
    frame = read_log(url, columns=("request_id", "label")).frame
    return frame.set_index("request_id")["label"][request_id]


def split_values(url: str) -> list[float]:
    with read_engine(url).connect() as connection:
        return list(connection.execute(select(splits.c.value).order_by(splits.c.id)).scalars())


def outcomes_of(log: PredictionLog, *labels: Label) -> list[str]:
    return [result.outcome for result in log.label_now(labels)]


def test_no_record_is_lost_or_kept_twice_when_postgresql_stops_and_starts_under_load(
    url: str, cluster: Cluster
) -> None:
    log, answered, stopped = PredictionLog(url), list[str](), threading.Event()

    def answer() -> None:
        while not stopped.is_set():
            record = a_record()
            log.append_now([record])
            answered.append(record.request_id)

    clients = [threading.Thread(target=answer) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(3):
        time.sleep(0.7)
        before = len(answered)
        cluster.stop()
        time.sleep(1.5)
        assert log.is_journalling
        assert len(answered) > before + 100
        cluster.start()
        wait_until(lambda: not log.is_journalling)
    stopped.set()
    for client in clients:
        client.join()
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert ids_in(url) == sorted(answered)
    assert len(set(answered)) == len(answered)


def test_a_service_that_starts_while_postgresql_is_away_has_the_last_known_split(
    url: str, cluster: Cluster
) -> None:
    log = PredictionLog(url, ABSettings(split=0.1))
    log.put_split(0.35, "a test")
    log.close()
    cluster.stop()
    log = PredictionLog(url, ABSettings(split=0.1))
    assert log.split.value == 0.35
    record = a_record()
    log.append_now([record])
    cluster.start()
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert ids_in(url) == [record.request_id]


def test_records_are_not_duplicated_when_a_frozen_postgresql_comes_back(
    url: str, cluster: Cluster
) -> None:
    log = PredictionLog(url)
    records = [a_record() for _ in range(3)]
    log.append_now(records[:1])
    with cluster.frozen():
        log.append_now(records[1:2])
        log.append_now(records[2:])
        assert log.is_journalling
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert ids_in(url) == [one.request_id for one in records]


def test_the_first_start_needs_no_postgresql(url: str, cluster: Cluster) -> None:
    cluster.stop()
    log = PredictionLog(url, ABSettings(split=0.1))
    assert log.split.value == 0.1
    record = a_record()
    log.append_now([record])
    cluster.start()
    wait_until(lambda: not log.is_journalling)
    wait_until(lambda: split_values(url) == [0.1])
    log.close()
    assert ids_in(url) == [record.request_id]


def test_labels_of_requests_in_the_journal_are_set_once_and_conflicts_recorded(
    url: str, cluster: Cluster
) -> None:
    log = PredictionLog(url)
    early = a_record()
    log.append_now([early])
    cluster.stop()
    late = a_record()
    log.append_now([late])
    outcomes = outcomes_of(
        log,
        Label(late.request_id, '"setosa"', 1.0),
        Label(late.request_id, '"setosa"', 2.0),
        Label(late.request_id, '"virginica"', 3.0),
        Label(early.request_id, '"virginica"', 4.0),
    )
    assert outcomes == ["set", "same", "conflict", "kept"]
    log.shadow_now([Shadow(late.request_id, "2", '"virginica"', None)])
    cluster.start()
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert label_of(url, late.request_id) == "setosa"
    assert label_of(url, early.request_id) == "virginica"
    columns = ("request_id", "shadow_prediction", "label_time")
    frame = read_log(url, columns=columns).frame
    assert list(frame["label_time"]) == [4.0, 1.0]
    assert list(frame["shadow_prediction"]) == [None, "virginica"]
    with read_engine(url).connect() as connection:
        refused = connection.execute(select(refused_labels)).one()
    assert (refused.request_id, refused.label, refused.kept) == (
        late.request_id,
        '"virginica"',
        '"setosa"',
    )


def test_a_label_whose_request_waits_in_the_journal_is_not_unknown(
    url: str, tmp_path: Path
) -> None:
    """This is the state between the return of PostgreSQL and the end of the draining."""
    waiting, there = a_record(), a_record()
    journal = Journal(str(tmp_path / "journal.db"))
    log = PredictionLog(url)
    log.append_now([there])
    with (tmp_path / "journal.db.draining").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # another process drains the journal and has not reached this record yet
        journal.write([[waiting]])
        labels = [Label(one.request_id, '"setosa"', 1.0) for one in (there, waiting)]
        outcomes = outcomes_of(log, *labels, Label("nobody", "1", 1.0))
        assert outcomes == ["set", "set", "unknown"]
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert label_of(url, waiting.request_id) == "setosa"


def test_a_label_for_a_request_in_another_machines_journal_waits_for_it(
    url: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = PredictionLog(url)
    monkeypatch.setenv("RATCHET_LOG_JOURNAL", str(tmp_path / "other.db"))
    other = PredictionLog(url)
    cluster.stop()
    record = a_record()
    one.append_now([record])
    assert outcomes_of(other, Label(record.request_id, '"setosa"', 1.0)) == ["kept"]
    cluster.start()
    wait_until(lambda: not one.is_journalling and not other.is_journalling)
    for log in (one, other):
        log.close()
    assert label_of(url, record.request_id) == "setosa"


def test_a_record_that_no_database_can_hold_fails_alone(url: str) -> None:
    log = PredictionLog(url)
    good = a_record()
    with ThreadPoolExecutor(3) as pool:
        calls = [
            pool.submit(log.append_now, [one])
            for one in (a_record("a\0b"), good, a_record("\ud800"))
        ]
    assert [type(call.exception()).__name__ for call in calls] == [
        "RefusedError",
        "NoneType",
        "RefusedError",
    ]
    log.close()
    assert ids_in(url) == [good.request_id]


def test_a_record_that_postgresql_refuses_later_stays_in_the_journal_and_blocks_no_other(
    url: str, cluster: Cluster, tmp_path: Path
) -> None:
    log = PredictionLog(url)
    cluster.stop()
    good = [a_record() for _ in range(3)]
    log.append_now([good[0], a_record("a\0b"), *good[1:]])
    cluster.start()
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert ids_in(url) == [one.request_id for one in good]
    with sqlite3.connect(tmp_path / "journal.db") as journal:
        refused = journal.execute("SELECT refused FROM entries").fetchall()
    assert len(refused) == 1
    assert "NUL" in refused[0][0]


def test_a_label_that_postgresql_cannot_index_is_refused_and_does_not_look_like_an_outage(
    url: str, tmp_path: Path
) -> None:
    """PostgreSQL answers SQLSTATE 54000 to it, as an OperationalError."""
    record, following = a_record(), a_record()
    too_long = Label(record.request_id, f'"{random.Random(0).randbytes(4000).hex()}"', 2.0)
    log = PredictionLog(url)
    log.append_now([record])
    assert outcomes_of(log, Label(record.request_id, '"setosa"', 1.0)) == ["set"]
    database = Database(url)
    with pytest.raises(RefusedError, match="54000"):
        database.write([[too_long]])
    database.close()
    Journal(str(tmp_path / "journal.db")).write([[too_long], [following]])
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert ids_in(url) == [record.request_id, following.request_id]
    with sqlite3.connect(tmp_path / "journal.db") as journal:
        refused = journal.execute("SELECT refused FROM entries").fetchall()
    assert len(refused) == 1
    assert "index row size" in refused[0][0]


def test_an_error_for_clients_names_no_host_no_port_and_no_statement(
    url: str, cluster: Cluster
) -> None:
    cluster.stop()
    database = Database(url)
    with pytest.raises(LogError) as error:
        database.write([[a_record()]])
    assert str(error.value) == "The prediction log takes no writes: PostgreSQL does not answer"
    assert str(cluster.port) in error.value.cause


def test_a_label_that_was_kept_is_reported_once_its_outcome_is_known(
    url: str, cluster: Cluster
) -> None:
    results: list[LabelResult] = []
    log = PredictionLog(url, on_labels=results.extend)
    early = a_record(arm="B", model_version="2", prediction='"setosa"')
    log.append_now([early])
    cluster.stop()
    late = a_record()
    log.append_now([late])
    labels = [Label(one.request_id, '"setosa"', 1.0) for one in (early, late)]
    assert outcomes_of(log, *labels) == ["kept", "set"]
    cluster.start()
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert results == [LabelResult("set", "B", "2", is_right=True)]


def test_labels_are_kept_and_a_split_is_refused_while_postgresql_is_frozen(
    url: str, cluster: Cluster
) -> None:
    log = PredictionLog(url)
    record = a_record()
    log.append_now([record])
    with cluster.frozen():
        assert outcomes_of(log, Label(record.request_id, '"setosa"', 1.0)) == ["kept"]
        with pytest.raises(LogError, match="The split was not changed"):
            log.put_split(0.9, "a test")
    wait_until(lambda: not log.is_journalling)
    log.close()
    assert label_of(url, record.request_id) == "setosa"


def test_two_replicas_share_one_split_and_one_log(url: str) -> None:
    one, other = PredictionLog(url), PredictionLog(url)
    one.put_split(0.6, "a test")
    wait_until(lambda: other.split.value == 0.6, seconds=1)
    record = a_record()
    one.append_now([record])
    other.append_now([record])
    assert outcomes_of(other, Label(record.request_id, "true", 1.0)) == ["set"]
    for log in (one, other):
        log.close()
    with read_engine(url).connect() as connection:
        assert connection.execute(select(func.count()).select_from(predictions)).scalar() == 1
