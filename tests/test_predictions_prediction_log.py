"""The log on SQLite: it keeps every answer, even if a process is killed or the disk is full."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.errors import InputError
from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.reading import read_log
from ratchet.predictions.record import (
    Label,
    LabelResult,
    Shadow,
    first_request_id,
    json_text,
    new_request_id,
)
from ratchet.predictions.window import Window
from ratchet.settings import ABSettings
from tests.projects import environment
from tests.records import a_record


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'log.db'}"


def all_of(
    folder: Path, columns: str = "*", table: str = "predictions"
) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "log.db") as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_request_ids_are_uuids_that_sort_by_time(one: float, other: float) -> None:
    first, second = sorted((one, other))
    assert uuid.UUID(new_request_id(first)).version == 7
    assert first_request_id(first) <= new_request_id(second)
    if second - first > 1e-3:
        assert new_request_id(first) < first_request_id(second) <= new_request_id(second)


def test_ids_of_one_process_are_all_different() -> None:
    assert len({new_request_id(1.7e9) for _ in range(100_000)}) == 100_000


def test_a_record_is_in_the_log_with_all_fields_when_append_returns(tmp_path: Path) -> None:
    record = a_record(error="took 1200 ms", fallback=True, label="true", label_time=5.0)
    log = PredictionLog(url_of(tmp_path))
    log.append_now([record])
    assert all_of(tmp_path) == [tuple(record)]
    log.close()


def test_a_record_sent_twice_is_kept_once_in_its_first_form(tmp_path: Path) -> None:
    record = a_record()
    log = PredictionLog(url_of(tmp_path))
    log.append_now([record, record])
    log.append_now([record._replace(user_id="another")])
    log.close()
    assert all_of(tmp_path, "user_id") == [("user-1",)]


def test_labels_are_set_once_and_conflicts_recorded(tmp_path: Path) -> None:
    record = a_record()
    log = PredictionLog(url_of(tmp_path))
    log.append_now([record])

    def label(label: str, at: float) -> str:
        return log.label_now([Label(record.request_id, label, at)])[0].outcome

    assert label("1", 1.0) == "set"
    assert label("1", 2.0) == "same"
    assert [label(other, 3.0) for other in ("true", "1.0", '"1"', '"1"')] == ["conflict"] * 4
    assert log.label_now([Label("nobody", "1", 1.0)]) == [LabelResult("unknown")]
    log.close()
    assert all_of(tmp_path, "label, label_time") == [("1", 1.0)]
    assert all_of(tmp_path, "label, kept", "refused_labels") == [
        ('"1"', "1"),
        ("1.0", "1"),
        ("true", "1"),
    ]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (Label("1" * 65, '"a"', 1.0), "A request_id has at most 64 characters"),
        (Label("1", f'"{"a" * 499}"', 1.0), "A label has at most 500 characters"),
    ],
)
def test_a_request_id_or_a_label_that_is_too_long_is_refused(
    tmp_path: Path, label: Label, message: str
) -> None:
    log = PredictionLog(url_of(tmp_path))
    with pytest.raises(RefusedError, match=message):
        log.label_now([label])
    assert log.label_now([label._replace(request_id="1", label='"a"')]) == [LabelResult("unknown")]
    log.close()


def test_a_new_label_is_returned_with_its_answer(tmp_path: Path) -> None:
    log = PredictionLog(url_of(tmp_path))
    record = a_record(arm="B", model_version="7", prediction='"setosa"')
    log.append_now([record])
    labels = [Label(record.request_id, label, 1.0) for label in ('"virginica"', '"setosa"')]
    assert log.label_now(labels) == [
        LabelResult("set", "B", "7", is_right=False),
        LabelResult("conflict", "B", "7", is_right=True),
    ]
    log.close()


def takes_writes(log: PredictionLog) -> bool:
    return asyncio.run(log.takes_writes())


def test_nothing_is_appended_to_a_file_that_was_deleted(tmp_path: Path) -> None:
    """SQLite itself would continue to write to the deleted file."""
    log = PredictionLog(url_of(tmp_path))
    first, second = a_record(), a_record()
    log.append_now([first])
    file, elsewhere = tmp_path / "log.db", tmp_path / "elsewhere.db"
    file.rename(elsewhere)
    assert not takes_writes(log)
    for _ in range(2):
        with pytest.raises(LogError, match="file was deleted or replaced"):
            log.append_now([a_record()])
    assert not file.exists()
    elsewhere.rename(file)
    assert takes_writes(log)
    log.append_now([second])
    log.close()
    kept = {row[0] for row in all_of(tmp_path, "request_id")}
    assert {first.request_id, second.request_id} <= kept


def test_a_file_that_was_replaced_becomes_the_log(tmp_path: Path) -> None:
    log = PredictionLog(url_of(tmp_path))
    log.append_now([a_record()])
    for file in tmp_path.glob("log.db*"):
        file.unlink()
    sqlite3.connect(tmp_path / "log.db").close()
    with pytest.raises(LogError, match="file was deleted or replaced"):
        log.append_now([a_record()])
    record = a_record()
    log.append_now([record])
    with contextlib.suppress(
        LogError
    ):  # the connection that reads the split detects the new file itself
        log.put_split(0.6, "a test")
    log.put_split(0.7, "a test")
    log.close()
    assert all_of(tmp_path, "request_id") == [(record.request_id,)]
    assert all_of(tmp_path, "value", "splits")[-1] == (0.7,)


@pytest.fixture(scope="module")
def shared_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, PredictionLog]]:
    url = url_of(tmp_path_factory.mktemp("shared"))
    log = PredictionLog(url)
    yield url, log
    log.close()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["true", '"true"', "1"]))))
def test_many_labels_at_once_have_the_same_outcomes_as_one_by_one(
    shared_log: tuple[str, PredictionLog], labels: list[tuple[int, str]]
) -> None:
    """The labels belong to three known requests and an unknown one."""
    url, log = shared_log
    known = [a_record() for _ in range(3)]
    log.append_now(known)
    ids = [*[one.request_id for one in known], "nobody"]
    outcomes = log.label_now([Label(ids[which], label, 1.0) for which, label in labels])
    labels_by_request: dict[str, str] = {}
    expected = []
    for which, label in labels:
        before = labels_by_request.get(ids[which])
        if which == 3:
            expected.append("unknown")
        elif before is None:
            labels_by_request[ids[which]] = label
            expected.append("set")
        else:
            expected.append("same" if before == label else "conflict")
    assert [one.outcome for one in outcomes] == expected
    kept = read_log(url, Window(since=known[0].time), ("request_id", "label")).frame
    kept = kept[kept["request_id"].isin(ids)]
    assert {row.request_id: json_text(row.label) for row in kept.itertuples()} == {
        request_id: labels_by_request.get(request_id, "null") for request_id in ids[:3]
    }


def test_a_label_sent_right_after_its_answer_finds_the_request_under_load(tmp_path: Path) -> None:
    log = PredictionLog(url_of(tmp_path))

    async def one_user() -> list[str]:
        outcomes = []
        for _ in range(30):
            record = a_record()
            await log.append([record])
            results = await log.label([Label(record.request_id, "1", 1.0)])
            outcomes += [result.outcome for result in results]
        return outcomes

    async def many_users() -> list[list[str]]:
        return await asyncio.gather(*[one_user() for _ in range(30)])

    assert asyncio.run(many_users()) == [["set"] * 30] * 30
    log.close()
    assert len(all_of(tmp_path)) == 900


def test_a_shadow_answer_is_added_later(tmp_path: Path) -> None:
    record = a_record()
    log = PredictionLog(url_of(tmp_path))
    log.append_now([record])
    shadow = Shadow(record.request_id, "2", '"virginica"', "{}")
    log.shadow_now([shadow, shadow._replace(request_id="nobody")])
    log.close()
    columns = ("shadow_version", "shadow_prediction")
    frame = read_log(url_of(tmp_path), columns=columns).frame
    assert frame.to_dict("records") == [{"shadow_version": "2", "shadow_prediction": "virginica"}]


@pytest.mark.parametrize(
    "bad", [{"user_id": "\ud800"}, {"user_id": None}, {"split": float("nan")}, {"arm": object()}]
)
def test_a_record_that_cannot_be_kept_fails_alone(tmp_path: Path, bad: dict[str, object]) -> None:
    log = PredictionLog(url_of(tmp_path))

    async def three() -> list[object]:
        records = [a_record(), a_record()._replace(**bad), a_record()]
        calls = [log.append([record]) for record in records]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(three())
    assert [type(result).__name__ for result in results] == ["NoneType", "RefusedError", "NoneType"]
    log.close()
    assert len(all_of(tmp_path)) == 2


def test_the_split_starts_as_configured_and_survives_restarts(tmp_path: Path) -> None:
    for default in (0.1, 0.3):
        log = PredictionLog(url_of(tmp_path), ABSettings(split=default))
        assert log.split.value == (0.1 if default == 0.1 else 0.5)
        log.put_split(0.5, "a test")
        log.close()
    assert [(row[0], row[1]) for row in all_of(tmp_path, "id, value", "splits")] == [
        (0, 0.1),
        (1, 0.5),
        (2, 0.5),
    ]
    with pytest.raises(ValueError, match="between 0 and 1"):
        log.put_split(1.5, "a test")


def test_a_log_that_cannot_be_opened_is_an_input_error(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}", "mysql://localhost/log", "nonsense"):
        with pytest.raises(InputError, match="RATCHET_LOG_URL="):
            PredictionLog(url)
    with pytest.raises(InputError, match="expected NORMAL or FULL"):
        PredictionLog(f"{url_of(tmp_path)}?synchronous=OFF")


def test_a_closed_log_refuses_records(tmp_path: Path) -> None:
    log = PredictionLog(url_of(tmp_path))
    log.close()
    with pytest.raises(LogError, match="closed"):
        log.append_now([a_record()])


WRITER = """
import asyncio, sys
from ratchet.predictions.prediction_log import PredictionLog
from tests.records import a_record

log = PredictionLog(sys.argv[1])

async def one_user():
    while True:
        record = a_record()
        await log.append([record])
        print(record.request_id, flush=True)

async def users():
    await asyncio.gather(*[one_user() for _ in range(8)])

asyncio.run(users())
"""


def start_writer(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, url_of(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@pytest.mark.slow
def test_no_kill_loses_an_answered_request_or_leaves_half_a_row(tmp_path: Path) -> None:
    """Two workers write to one file and are killed together ten times, at any moment."""
    rng, answered = random.Random(0), list[str]()
    for _ in range(10):
        workers = [start_writer(tmp_path) for _ in range(2)]
        for worker in workers:
            assert worker.stdout
            answered.append(worker.stdout.readline().strip())
        time.sleep(rng.uniform(0, 0.3))
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
        for worker in workers:
            lines = worker.communicate()[0].splitlines(keepends=True)
            answered += [line.strip() for line in lines if line.endswith("\n")]
    rows = all_of(tmp_path, "request_id, features, prediction")
    kept = [row[0] for row in rows]
    assert len(kept) == len(set(kept))
    assert set(answered) <= set(kept)
    assert len(answered) > 1000
    assert {row[1:] for row in rows} == {tuple(a_record()[10:12])}
    with sqlite3.connect(tmp_path / "log.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


DISK = """
import sys
from pathlib import Path
from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.prediction_log import PredictionLog
from tests.records import a_record

folder = Path(sys.argv[1])
log, answered, refused = PredictionLog(f"sqlite:///{folder / 'log.db'}"), [], []

def fill(times):
    for _ in range(times):
        records = [a_record(features="x" * 500) for _ in range(20)]
        try:
            log.append_now(records)
            answered.extend(one.request_id for one in records)
        except LogError as error:
            refused.append(str(error))

balloon = folder / "balloon"
balloon.write_bytes(bytes(2_000_000))
fill(400)
print(len(refused) > 10, refused[0])
balloon.unlink()
before = len(refused)
fill(20)
print(len(refused) == before)
log.close()
import sqlite3
with sqlite3.connect(folder / "log.db") as connection:
    kept = [row[0] for row in connection.execute("SELECT request_id FROM predictions ORDER BY 1")]
print(kept == sorted(answered))
"""


@pytest.mark.slow
def test_a_full_disk_refuses_records_until_there_is_room_again(
    tmp_path: Path,
) -> None:
    """The disk is a small tmpfs in a mount namespace that ends with the process."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    mounted = (
        f'mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, DISK],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.splitlines() == [
        "True The prediction log takes no writes: database or disk is full",
        "True",
        "True",
    ], done.stderr
