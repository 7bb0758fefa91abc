"""Collected requests: labelled, mature, each once, and in the form of the source."""

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ratchet.collect.requests import collect, start_of_window
from ratchet.data.dataset import load
from ratchet.data.split import load_split
from ratchet.data.split_record import record_of
from ratchet.errors import InputError
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Record, json_text
from ratchet.settings import Settings
from tests.projects import new_project, run_step
from tests.records import a_record

DATA = {"source": "flowers.csv", "target": "species", "log": {"days": 30}}
HOUR = 3600.0


def settings_of(**data: object) -> Settings:
    return Settings.model_validate(
        {"model": "iris", "data": DATA | data, "promotion": {"maturity_hours": 2.0}}
    )


def labelled(user: str, hours_ago: float, species: str | None, **more: object) -> Record:
    at = time.time() - hours_ago * HOUR
    known = {} if species is None else {"label": json_text(species), "label_time": at}
    features = json_text({"length": 5.5, "color": "blue", "seen": "2026-03-01T12:00:00"})
    return a_record(user, at, **({"features": features} | known | more))


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Write requests of two users and two arms; some have no label, and one is too young."""
    records = [
        labelled("ada", 50, "setosa"),
        labelled("ada", 40, "virginica", prediction=json_text("virginica")),
        labelled("bob", 30, "setosa", arm="B", model_version="2"),
        labelled("bob", 20, None),
        labelled("eve", 1, "setosa"),
        labelled("eve", 60, "setosa", model="another"),
        labelled("eve", 24 * 40, "setosa"),
    ]
    url = f"sqlite:///{tmp_path}/predictions.db"
    writer = PredictionLog(url)
    writer.append_now(records)
    writer.close()
    return url


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    new_project(folder, {"model": "iris", "data": DATA, "promotion": {"maturity_hours": 2}})
    frame = pd.DataFrame(
        {
            "length": [1.0, 2.0, 3.0, 4.0] * 10,
            "color": ["red", "blue"] * 20,
            "seen": pd.date_range("2026-01-01", periods=40).strftime("%Y-%m-%d"),
            "customer": [f"c{n % 8}" for n in range(40)],
            "w": [2.0] * 40,
            "species": ["setosa", "virginica"] * 20,
        }
    )
    frame.to_csv(folder / "flowers.csv", index=False)
    monkeypatch.chdir(folder)
    return folder


def test_only_labelled_and_mature_requests_of_the_model_are_collected(log: str) -> None:
    result = collect(log, settings_of(), start_of_window("30d"))
    assert list(result.table["log.user_id"]) == ["ada", "ada", "bob"]
    assert list(result.table["species"]) == ["setosa", "virginica", "setosa"]
    assert list(result.table["length"]) == [5.5, 5.5, 5.5]
    assert result.table["log.request_id"].is_unique
    assert list(result.table["log.model_version"]) == ["1", "1", "2"]
    assert list(result.table["log.weight"]) == [0.5, 0.5, 1.0]
    assert (result.requests, result.unlabelled, result.immature, result.refused) == (5, 1, 1, 0)
    assert result.arms == {"A": 0.6667, "B": 0.3333}
    assert result.labelled_by_prediction == {"setosa": 2 / 3, "virginica": 1.0}


def test_rows_that_break_the_contract_are_left_out(log: str, project: Path) -> None:
    contract = project / "configs/data.yaml"
    contract.write_text("columns: {species: {values: [setosa]}, customer: {missing: 0}}")
    result = collect(log, settings_of(), None)
    assert set(result.table["species"]) == {"setosa"}
    assert result.refused == 1
    assert [one.rule for one in result.broken] == ["species: one of 1 values"]
    contract.write_text("columns: {species: {values: [setosa], severity: warn}}")
    assert collect(log, settings_of(), None).refused == 0


def test_labels_that_some_answers_rarely_get_are_warned_of(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    writer = PredictionLog(url)
    answers = {"granted": ["repaid"] * 9 + [None], "refused": ["repaid"] + [None] * 9}
    writer.append_now(
        [
            labelled(f"u{answer}{n}", 30 + n, label, prediction=json_text(answer))
            for answer, labels in answers.items()
            for n, label in enumerate(labels)
        ]
    )
    writer.close()
    warnings = collect(url, settings_of(), None).warnings
    assert warnings[0].startswith("Warning: all collected requests were answered by v1.")
    assert warnings[1] == (
        "Warning: 10.0% of the requests answered 'refused' have a label, and 90.0% of those"
        " answered 'granted'. The rows are not a fair sample of all requests"
    )


def test_the_step_writes_the_file_and_training_reads_it_with_the_source(
    log: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(drop=["customer"])
    assert len(load(settings.data).target) == 40
    assert "data/collected.parquet (data.log) does not exist" in capsys.readouterr().out
    done = run_step(project, "collect", log=log)
    assert done.returncode == 0, done.stderr
    assert "Wrote 3 of 5 requests to data/collected.parquet" in done.stdout
    content = json.loads((project / "reports/collect/collect.json").read_text())
    assert content["rows"] == 3
    table = load(settings.data)
    assert len(table.target) == 43
    assert list(table.features["length"][40:]) == [5.5, 5.5, 5.5]
    assert table.kinds["seen"] == "date"
    assert str(table.features["seen"].iloc[-1]) == "2026-03-01 12:00:00"
    record = record_of(load_split(settings.data))
    assert record["collected"]["arms"] == {"A": 0.6667, "B": 0.3333}
    assert record["collected"]["versions"] == {"1": 0.6667, "2": 0.3333}


def test_split_and_weight_columns_that_no_request_has_come_from_the_log(
    log: str, project: Path
) -> None:
    frame = pd.read_csv("flowers.csv").rename(columns={"seen": "day"})
    frame.to_csv("flowers.csv", index=False)
    assert run_step(project, "collect", log=log).returncode == 0
    rule: dict[str, Any] = {"by": "time", "column": "day", "group": "customer"}
    data = settings_of(split=rule, weight="w", drop=["day", "customer"]).data
    table = load(data)
    assert table.times is not None
    assert table.groups is not None
    assert table.weights is not None
    assert (pd.Timestamp.now() - pd.Timestamp(table.times[-1])).total_seconds() < 31 * HOUR
    assert table.groups[40] == table.groups[41] != table.groups[42]
    assert list(table.weights[39:]) == [2.0, 0.5, 0.5, 1.0]


@pytest.mark.parametrize("since", ["90 days", "yesterday", "5y"])
def test_a_window_that_cannot_be_read_is_one_line(since: str) -> None:
    with pytest.raises(InputError, match=f"since={since}: expected a duration, such as 90d, or"):
        start_of_window(since)


def test_a_window_is_a_duration_or_a_date() -> None:
    assert start_of_window("2026-01-31") == 1769817600.0
    assert time.time() - start_of_window("2d") == pytest.approx(48 * HOUR, abs=60)


def test_without_mature_labels_nothing_is_written(log: str, project: Path) -> None:
    done = run_step(project, "collect", log=log, since="2h")
    assert done.returncode == 0, done.stderr
    assert "No row was collected: of 1 requests, 0 have no label and 1 are too young" in done.stdout
    assert not (project / "data").exists()


def test_without_the_setting_nothing_is_collected(project: Path, log: str) -> None:
    (project / "configs/project.yaml").write_text(
        json.dumps({"model": "iris", "data": {"source": "flowers.csv", "target": "species"}})
    )
    done = run_step(project, "collect", log=log)
    assert (done.returncode, done.stdout) == (
        0,
        "data.log is not set, so no request is collected; docs/data.md explains it\n",
    )
    assert not (project / "data").exists()


def test_a_file_that_is_not_of_collect_is_one_line(project: Path) -> None:
    Path("data").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet("data/collected.parquet")
    with pytest.raises(InputError, match=r"has no column 'log.request_id'; collect again"):
        load(settings_of().data)
