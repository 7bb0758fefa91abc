"""The time to write a record and to read a million, compared with the usual ways.

python -m benchmarks.prediction_log

Writing: 200 callers append records at the same time, and each waits for its own commit. The peers
are a SQLAlchemy transaction per record, and an insert and a commit per record with sqlite3; both
write to a file with the same settings. Reading: the columns that a decision needs of a million
requests; the peer is pandas.read_sql. The ways take turns, because the machine may be busy, and the
figures are medians.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
from sqlalchemy import insert

from ratchet.predictions.engine import open_engine
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.reading import DEFAULT_COLUMNS, read_log
from ratchet.predictions.record import Record, json_text, new_request_id
from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Window
from ratchet.predictions.writing import insert_statement
from ratchet.report import print_table

ROUNDS = 5
RECORDS = 10_000
CALLERS = 200
ROWS = 1_000_000
LEAST_TIMES_SQLALCHEMY = 5.0
LEAST_TIMES_SQLITE = 1.0
LEAST_TIMES_READ_SQL = 1.5


def main() -> None:
    with TemporaryDirectory() as folder:
        written = take_turns(
            {"log": append_to_log, "sqlite3": append_by_sqlite3, "sqlalchemy": append_each},
            Path(folder),
        )
    with TemporaryDirectory() as folder:
        fill(Path(folder))
        read = take_turns({"read_log": by_read_log, "read_sql": by_read_sql}, Path(folder))
    figures = {
        "appends_per_second": round(RECORDS / written["log"]),
        "times_sqlalchemy": round(written["sqlalchemy"] / written["log"], 2),
        "times_sqlalchemy_limit": LEAST_TIMES_SQLALCHEMY,
        "times_sqlite3": round(written["sqlite3"] / written["log"], 2),
        "times_sqlite3_limit": LEAST_TIMES_SQLITE,
        "read_seconds": round(read["read_log"], 2),
        "times_read_sql": round(read["read_sql"] / read["read_log"], 2),
        "times_read_sql_limit": LEAST_TIMES_READ_SQL,
    }
    print_table([{"": name, "seconds": took} for name, took in (written | read).items()])
    limits = ("times_sqlalchemy", "times_sqlite3", "times_read_sql")
    holds = all(figures[name] >= figures[f"{name}_limit"] for name in limits)
    print(json.dumps(figures | {"holds": holds}))


def take_turns(ways: dict[str, Callable[[Path], None]], folder: Path) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            way(folder)
            seconds[name].append(time.perf_counter() - started)
    return {name: median(took) for name, took in seconds.items()}


def append_to_log(folder: Path) -> None:
    log = PredictionLog(f"sqlite:///{folder / 'grouped.db'}")

    async def one_caller() -> None:
        for _ in range(RECORDS // CALLERS):
            await log.append([a_record()])

    async def all_callers() -> None:
        await asyncio.gather(*[one_caller() for _ in range(CALLERS)])

    asyncio.run(all_callers())
    log.close()


def append_by_sqlite3(folder: Path) -> None:
    file = folder / "sqlite3.db"
    open_and_create(file)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    statement = insert_statement("sqlite", 1)
    for _ in range(RECORDS):
        connection.execute(statement, a_record())
    connection.close()


def append_each(folder: Path) -> None:
    engine = open_engine(f"sqlite:///{folder / 'each.db'}")
    predictions.create(engine, checkfirst=True)
    for _ in range(RECORDS):
        with engine.begin() as connection:
            connection.execute(insert(predictions), a_record()._asdict())
    engine.dispose()


def fill(folder: Path) -> None:
    open_and_create(folder / "read.db")
    with sqlite3.connect(folder / "read.db") as connection:
        statement = insert_statement("sqlite", 1)
        connection.executemany(statement, (a_record(number) for number in range(ROWS)))


def by_read_log(folder: Path) -> None:
    url = f"sqlite:///{folder / 'read.db'}"
    assert len(read_log(url, Window("1", "2")).frame) == ROWS


def by_read_sql(folder: Path) -> None:
    engine = open_engine(f"sqlite:///{folder / 'read.db'}")
    statement = f"SELECT {', '.join(DEFAULT_COLUMNS)} FROM predictions WHERE prod_version = '1'"
    frame = pd.read_sql(f"{statement} AND staging_version = '2' ORDER BY request_id", engine)
    for name in ("prediction", "label"):
        frame[name] = [json.loads(text) for text in frame[name]]
    assert len(frame) == ROWS
    engine.dispose()


def open_and_create(file: Path) -> None:
    engine = open_engine(f"sqlite:///{file}")
    predictions.create(engine, checkfirst=True)
    engine.dispose()


def a_record(number: int | None = None) -> Record:
    now = time.time() if number is None else 1_700_000_000 + number / 100
    features = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    classes = {"setosa": 0.91, "versicolor": 0.08, "virginica": 0.01}
    return Record(
        new_request_id(now),
        now,
        f"user-{(number or 0) * 7919 % 200_000}",
        "A",
        "iris",
        "1",
        "1",
        "2",
        "A",
        0.2,
        json_text(features),
        '"setosa"',
        json_text(classes),
        1.25,
        label='"setosa"',
        label_time=now,
    )


if __name__ == "__main__":
    main()
