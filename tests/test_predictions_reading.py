"""Reading the log: windows, the CSV, and retention."""

import csv
import io
import json
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.errors import InputError
from ratchet.predictions import csv_export
from ratchet.predictions.csv_export import csv_pages
from ratchet.predictions.engine import open_engine
from ratchet.predictions.exports import BROKEN_OFF
from ratchet.predictions.maintenance import delete_older
from ratchet.predictions.pages import open_log
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.reading import read_log
from ratchet.predictions.record import Label, Record, json_text
from ratchet.predictions.window import Window
from tests.clusters import new_cluster
from tests.records import a_record

DAY = 24 * 3600.0
START = 1_700_000_000.0


def a_week() -> list[Record]:
    """Return a request a day; the fourth begins another test and has a label and an error."""
    records = [
        a_record(f"user-{day}", START + day * DAY, prediction=json_text(day % 2 == 0))
        for day in range(7)
    ]
    later = [one._replace(staging_version="3", split=0.5) for one in records[3:]]
    later[0] = later[0]._replace(
        arm="A", assigned_arm="B", fallback=True, error="took 1200 ms", label="true", label_time=5.0
    )
    return records[:3] + later


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('log') / 'log.db'}"
    else:
        with new_cluster() as cluster:
            yield cluster.create("log")


@pytest.fixture(scope="module")
def week(url: str, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RATCHET_LOG_JOURNAL", str(tmp_path_factory.mktemp("journal") / "journal.db"))
        log = PredictionLog(url)
        records = a_week()
        log.append_now(records[::-1])
        log.close()
    return records


def test_a_window_is_one_test_in_the_order_of_its_requests(url: str, week: list[Record]) -> None:
    frame = read_log(url, Window("1", "3")).frame
    assert list(frame["user_id"]) == ["user-3", "user-4", "user-5", "user-6"]
    assert list(frame["prediction"]) == [False, True, False, True]
    assert list(frame["label"]) == [True, None, None, None]
    assert list(frame["label_time"].fillna(-1)) == [5.0, -1, -1, -1]
    assert list(frame["fallback"]) == [True, False, False, False]
    assert list(frame["error"]) == ["took 1200 ms", None, None, None]
    assert list(frame["split"]) == [0.5] * 4
    assert [str(frame[name].dtype) for name in ("time", "split", "fallback", "label")] == [
        "float64",
        "float64",
        "bool",
        "object",
    ]


def test_a_window_is_from_its_beginning_up_to_and_without_its_end(
    url: str, week: list[Record]
) -> None:
    frame = read_log(url, Window(since=week[2].time, until=week[4].time)).frame
    assert list(frame["request_id"]) == [week[2].request_id, week[3].request_id]
    assert read_log(url, Window("1", "2", model="another")).frame.empty
    assert list(read_log(url, Window("9")).frame.columns) == list(frame.columns)


def test_features_come_as_values(url: str, week: list[Record]) -> None:
    window = Window(until=week[1].time)
    frame = read_log(url, window, ("features", "staging_version")).frame
    assert frame["features"][0] == {"sepal_length": 5.1, "sepal_width": 3.5}


def test_the_rows_that_a_decision_needs_take_few_bytes_each(url: str, week: list[Record]) -> None:
    frame = read_log(url, columns=("time", "user_id", "assigned_arm", "split", "error")).frame
    assert [str(one) for one in frame.dtypes] == [
        "float64",
        "category",
        "category",
        "float64",
        "object",
    ]


def lines(url: str, of: Window | None = None, **more: object) -> list[list[str]]:
    text = "".join(csv_pages(url, of, **more))  # type: ignore[arg-type]
    return list(csv.reader(io.StringIO(text)))


def test_the_csv_has_the_documented_columns_and_one_line_per_request(
    url: str, week: list[Record]
) -> None:
    header, *rows = lines(url)
    assert header == [
        "request_id",
        "timestamp",
        "user_id",
        "variant",
        "model_version",
        "sepal_length",
        "sepal_width",
        "prediction",
        "label",
    ]
    assert len(rows) == 7
    assert rows[3] == [
        week[3].request_id,
        "2023-11-17T22:13:20.000000+00:00",
        "user-3",
        "A",
        "1",
        "5.1",
        "3.5",
        "false",
        "true",
    ]
    assert rows[4][-1] == ""


def test_the_csv_can_be_filtered_and_have_details(url: str, week: list[Record]) -> None:
    of = Window(since=week[3].time, until=week[5].time, model_version="1")
    header, *rows = lines(url, of, details=True, features=["sepal_width", "unknown"])
    assert header[5:9] == ["sepal_width", "unknown", "prediction", "label"]
    assert [row[5:7] for row in rows] == [["3.5", ""]] * 2
    details = dict(zip(header[9:], rows[0][9:], strict=True))
    assert json.loads(details["other_features"]) == {"sepal_length": 5.1}
    assert (details["staging_version"], details["assigned_arm"]) == ("3", "B")
    assert (details["split"], details["fallback"], details["label_time"]) == ("0.5", "true", "5.0")
    assert lines(url, Window(model_version="7")) == [header[:5] + ["prediction", "label"]]


def test_texts_with_commas_quotes_and_line_ends_come_back_from_the_csv(tmp_path: Path) -> None:
    url, name = f"sqlite:///{tmp_path / 'log.db'}", 'a, "b"\nc'
    log = PredictionLog(url)
    log.append_now([a_record(name, features=json_text({name: name, "gap": None, "is": True}))])
    log.close()
    header, row = lines(url)
    assert header[5:8] == [name, "gap", "is"]
    assert (row[2], row[5:8]) == (name, [name, "", "true"])


def test_the_first_line_of_the_csv_comes_before_most_of_the_log_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    log = PredictionLog(url)
    features = [json_text({"old": 1.0}), json_text({"new": 1.0})]
    log.append_now(
        [a_record(at=START + number, features=features[number // 4000]) for number in range(8000)]
    )
    log.close()
    parsed = []
    monkeypatch.setattr(csv_export, "decode", lambda text: parsed.append(text) or json.loads(text))
    read = csv_pages(url)
    assert next(read).startswith("request_id,timestamp,user_id,variant,model_version,old,new,")
    sample = len(parsed)
    assert sample <= 51 * 20
    next(read)
    assert len(parsed) == sample + 2000
    read.close()


def test_no_rare_feature_is_left_out_of_the_csv_without_a_word(tmp_path: Path) -> None:
    """The sample of the header takes at most twenty requests of each of 51 moments."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    log = PredictionLog(url)
    usual, rare = json_text({"width": 1.0}), json_text({"rare": 2.0, "width": 1.0})
    records = [a_record(at=START + number, features=usual) for number in range(3000)]
    records[2019] = records[2019]._replace(features=rare)
    log.append_now(records)
    log.close()
    header, *rows, last = lines(url)
    assert header[5:] == ["width", "prediction", "label"]
    assert len(rows) == 3000
    assert last == ["This file is not complete: it lacks rare features; details=true has them."]
    (tmp_path / "log.csv").write_text("".join(csv_pages(url)))
    with pytest.raises(InputError, match="lacks rare features"):
        read_log(str(tmp_path / "log.csv"))
    header, *rows = lines(url, details=True)
    assert header[-1] == "other_features"
    assert [row[-1] for row in rows if row[-1]] == ['{"rare":2.0}']
    assert lines(url, features=["width"])[-1] != last


def test_a_csv_that_the_database_interrupts_says_so_in_its_last_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    log = PredictionLog(url)
    log.append_now([a_record() for _ in range(5000)])
    log.close()
    read = csv_pages(url)
    parts = [next(read), next(read)]
    with sqlite3.connect(tmp_path / "log.db") as connection:
        connection.execute("DROP TABLE predictions")
    with pytest.raises(InputError, match="no such table"):
        parts.extend(read)
    assert parts[-1] == BROKEN_OFF
    (tmp_path / "log.csv").write_text("".join(parts))
    with pytest.raises(InputError, match="this file is not complete"):
        read_log(str(tmp_path / "log.csv"))


@pytest.mark.slow
def test_the_csv_of_a_long_log_takes_no_more_memory_than_that_of_a_short_one(
    tmp_path: Path,
) -> None:
    peaks = []
    for rows in (5_000, 60_000):
        url = f"sqlite:///{tmp_path / f'{rows}.db'}"
        log = PredictionLog(url)
        log.append_now([a_record(features=json_text({"text": "x" * 500})) for _ in range(rows)])
        log.close()
        tracemalloc.start()
        assert sum(len(page) for page in csv_pages(url)) > rows * 500
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_retention_deletes_what_is_older_and_nothing_else(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    log = PredictionLog(url)
    week = a_week()
    log.append_now(week)
    log.label_now([Label(one.request_id, label, 1.0) for one in week for label in ("1", "2")])
    log.close()
    engine = open_engine(url)
    now = week[5].time
    assert delete_older(engine, days=2.5, now=now) == 3
    assert delete_older(engine, days=2.5, now=now) == 0
    assert list(read_log(url, columns=("user_id",)).frame["user_id"]) == [
        "user-3",
        "user-4",
        "user-5",
        "user-6",
    ]
    with engine.connect() as connection:
        refused = connection.exec_driver_sql("SELECT count(*) FROM refused_labels").scalar()
    assert refused == 4 + 1  # the fourth one was labelled true from the start
    engine.dispose()


def test_retention_shrinks_the_file(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "log.db"
    log = PredictionLog(url)
    text = json_text({"text": "x" * 900})
    log.append_now([a_record(at=START + number, features=text) for number in range(9000)])
    log.close()
    before = file.stat().st_size
    engine = open_engine(url)
    assert delete_older(engine, days=1, now=START + 8000 + DAY) == 8000
    engine.dispose()
    assert file.stat().st_size < before / 4
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (1000,)


@pytest.mark.parametrize("what", ["nothing", "another file", "another database"])
def test_a_source_that_is_not_a_log_is_an_error_and_is_not_created(
    tmp_path: Path, what: str
) -> None:
    file = tmp_path / "log.db"
    if what == "another file":
        file.write_text("request_id,time\n" * 100)
    if what == "another database":
        open_engine(f"sqlite:///{file}").connect().close()
    with pytest.raises(InputError, match=r"log\.db"):
        read_log(f"sqlite:///{file}")
    with pytest.raises(InputError, match=r"log\.db"):
        list(csv_pages(f"sqlite:///{file}"))
    assert file.exists() == (what != "nothing")


def test_a_password_is_never_shown() -> None:
    with (
        pytest.raises(InputError) as refused,
        open_log("postgresql://me:secret@localhost:1/log") as e,
    ):
        e.connect()
    assert "secret" not in str(refused.value)
    assert "me:***@localhost:1" in str(refused.value)
