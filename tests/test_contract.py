"""The contract: rules in configs/data.yaml, checked before anything is trained."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.contract.checking import Result, check
from ratchet.contract.proposal import propose
from ratchet.contract.rules import Contract, read_contract
from ratchet.contract.source import require_contract
from ratchet.data.source import Rows, of_frame
from ratchet.drift.broken_rules import broken_rules_of_file, broken_rules_of_log
from ratchet.errors import InputError
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.settings import DataSettings, Settings, validated
from tests.projects import BASELINE, new_project, run_step
from tests.records import a_record
from tests.tables import mixed_frame


def orders(**columns: object) -> Rows:
    frame = pd.DataFrame(
        {
            "age": [17, 20, 30, 130, None, 45],
            "country": ["DE", "FR", "XX", None, "DE", "DE"],
            "order": [1, 2, 3, 3, 3, 6],
            "day": pd.to_datetime(["2026-01-01"] * 5 + ["2026-02-01"]),
            **columns,
        }
    )
    return of_frame(frame)


def results_of(rows: Rows, contract: dict[str, Any]) -> list[Result]:
    return check(rows, validated(Contract, contract, "data.yaml"), "orders.csv")


def one_result(rows: Rows, contract: dict[str, Any]) -> Result:
    (result,) = results_of(rows, contract)
    return result


def test_each_rule_counts_the_rows_that_break_it_and_shows_the_first() -> None:
    contract = {
        "columns": {
            "age": {"min": 18, "max": 120, "missing": 0.1},
            "country": {"values": ["DE", "FR"]},
            "order": {"unique": True},
        },
        "rows": {"min": 10},
    }
    results = results_of(orders(), contract)
    assert [(one.rule, one.rows, one.found, one.examples) for one in results] == [
        ("age: min 18", 1, "1 of 6 rows", ("row 1 (17.0)",)),
        ("age: max 120", 1, "1 of 6 rows", ("row 4 (130.0)",)),
        ("age: missing at most 10.00%", 1, "1 of 6 rows (16.67%)", ("row 5 (None)",)),
        ("country: one of 2 values", 1, "1 of 6 rows", ("row 3 (XX)",)),
        ("order: unique", 2, "2 rows repeat a value", ("row 3 (3)", "row 4 (3)", "row 5 (3)")),
        ("rows: at least 10", 0, "6 rows", ()),
    ]
    assert not any(one.passed for one in results)


def test_data_that_keep_the_contract_pass_every_rule() -> None:
    contract = {
        "columns": {
            "age": {"min": 17, "max": 130, "missing": 0.2},
            "country": {"values": ["DE", "FR", "XX"], "missing": 0.2},
            "day": {"min": "2026-01-01", "max": "2026-02-01", "missing": 0},
        },
        "rows": {"min": 6},
    }
    results = results_of(orders(), contract)
    assert [one.passed for one in results] == [True] * 9
    assert all(one.examples == () for one in results)


@pytest.mark.parametrize(
    ("columns", "rules", "rows"),
    [
        ({"age": ["17", "old", "30", "40", "50", "60"]}, {"min": 18}, 2),
        ({"age": [np.nan, 1.0, np.inf, 3.0, 4.0, 5.0]}, {"max": 4}, 2),
        ({"age": [1, 2, 3, 1, 2, 9]}, {"values": [1, 2, 3]}, 1),
        ({"age": [True, False, True, True, None, True]}, {"values": [True]}, 1),
        ({"age": ["it's", "a", "a", "a", "a", "a"]}, {"values": ["it's"]}, 5),
        ({"age": ["2026-01-01", "2027-01-01", "soon"] * 2}, {"max": "2026-06-01"}, 4),
    ],
)
def test_values_are_compared_by_their_meaning(
    columns: dict[str, object], rules: dict[str, object], rows: int
) -> None:
    assert one_result(orders(**columns), {"columns": {"age": rules}}).rows == rows


def test_the_newest_row_may_be_too_old() -> None:
    now = pd.Timestamp.now("UTC").tz_localize(None)
    fresh = orders(day=[now - pd.Timedelta(hours=hours) for hours in (90, 80, 70, 60, 50, 40)])
    rule = {"rows": {"newest": {"column": "day", "at_most": "2d"}}}
    assert one_result(fresh, rule).passed
    assert one_result(fresh, rule).found == "1.7 days old"
    assert not one_result(orders(), rule).passed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("columns: {age: {mni: 3}}", "unknown key 'columns.age.mni'; did you mean 'min'"),
        ("colums: {}", "unknown key 'colums'; did you mean 'columns'"),
        ("columns: {age: {min: 3, max: 2}}", "min 3.0 is above max 2.0, so no value can hold it"),
        ("columns: {age: {min: 3, max: '2026-01-01'}}", "both be numbers, or both dates"),
        ("columns: {age: {missing: 3}}", "less than or equal to 1, got 3"),
        ("columns: {age: {values: []}}", "columns.age.values: .* at least 1"),
        ("columns: {age: {severity: maybe}}", "'error' or 'warn', got 'maybe'"),
        ("rows: {min: 3, max: 2}", "min 3 is above max 2, so no table can hold it"),
        ("rows: {newest: {column: day, at_most: soon}}", "a number with s, m, h, d or w"),
        (
            "columns: {a: {values: [x, y], unique: true}}\nrows: {min: 3}",
            "'a' is unique with 2 values, but rows.min is 3",
        ),
        ("columns: {day: {min: 2026-01-01}}", "is a date; expected .*put it in quotes"),
    ],
)
def test_a_contract_that_is_not_valid_is_one_line(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "data.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_contract(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"columns": {"aeg": {"min": 1}}}, "no column 'aeg' .* did you mean 'age'"),
        ({"rows": {"newest": {"column": "dya", "at_most": "1d"}}}, "no column 'dya'.* 'day'"),
        ({"rows": {"newest": {"column": "country", "at_most": "1d"}}}, "holds no dates"),
    ],
)
def test_a_rule_on_a_column_that_is_not_there_is_one_line(
    contract: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        results_of(orders(), contract)


def test_a_part_of_the_data_is_checked_on_the_columns_that_it_has() -> None:
    contract = {"columns": {"age": {"min": 18}, "outcome": {"missing": 0}}, "rows": {"min": 99}}
    parsed = validated(Contract, contract, "data.yaml")
    (result,) = check(orders(), parsed, "the log", only_known=True)
    assert result.rule == "age: min 18"


cells = st.one_of(st.none(), st.integers(-5, 5), st.floats(-1e3, 1e3, allow_nan=False))
words = st.one_of(st.none(), st.sampled_from(["a", "b", "it's", "ü", ""]))


@given(st.lists(st.tuples(cells, words, st.dates()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_data_keep_the_contract_that_is_proposed_from_them(
    drawn: list[tuple[object, object, object]],
) -> None:
    frame = pd.DataFrame(drawn, columns=["number", "word", "day"])
    frame["number"] = frame["number"].astype(float)
    frame["key"] = range(len(frame))
    frame["day"] = pd.to_datetime(frame["day"], errors="coerce")
    rows = of_frame(frame)
    contract = validated(Contract, yaml.safe_load(propose(rows)), "data.yaml")
    assert all(one.passed for one in check(rows, contract, "data"))


def test_a_proposal_has_ranges_values_keys_and_missing_shares() -> None:
    frame = mixed_frame(400).assign(id=range(400))
    contract = yaml.safe_load(propose(of_frame(frame)))
    assert contract["rows"] == {"min": 200}
    columns = contract["columns"]
    assert columns["id"] == {"unique": True, "missing": 0.0}
    assert columns["visits"] == {"min": 0.0, "max": 54.0, "missing": 0.0}
    assert columns["newsletter"] == {"values": ["no", "yes"], "missing": 0.0}
    assert columns["joined"]["min"].startswith("1955")
    assert 0.2 < columns["age"]["missing"] < 0.4


def project_with(folder: Path, contract: str) -> Path:
    project = new_project(folder / "project")
    (project / "configs/data.yaml").write_text(contract)
    return project


def test_check_proposes_a_contract_and_reports_each_rule(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    done = run_step(project, "check", write="true")
    assert done.returncode == 0, done.stderr
    assert "Wrote configs/data.yaml, proposed from iris" in done.stdout
    assert "iris keeps all 15 rules of the contract." in done.stdout
    report = project / "reports/check"
    content = json.loads((report / "check.json").read_text())
    assert content["verdict"] == "kept"
    assert content["rules"][0]["rule"].startswith("sepal_length: min")
    assert "| sepal_length: min" in (report / "check.md").read_text()
    assert "sepal_length: min" in (report / "check.html").read_text()
    again = run_step(project, "check", write="true")
    assert again.returncode == 2
    assert "configs/data.yaml exists; move it away to get a new proposal" in again.stderr


def test_train_and_check_refuse_data_that_break_the_contract(tmp_path: Path) -> None:
    project = project_with(tmp_path, "columns: {sepal_length: {max: 7.5}}\nrows: {min: 1000}\n")
    message = (
        "iris breaks the contract: sepal_length: max 7.5: 6 of 150 rows, such as row 106 (7.6), row"
        " 118 (7.7), row 119 (7.7), row 123 (7.7), row 132 (7.9), and 1 more rules."
    )
    trained = run_step(project, "train", config=BASELINE)
    assert trained.returncode == 2
    assert trained.stderr.startswith(f"train: {message}")
    assert len(trained.stderr.splitlines()) == 1
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    assert not (project / "mlflow.db").exists() or client.search_registered_models() == []
    checked = run_step(project, "check")
    assert checked.returncode == 2
    assert f"check: {message}" in checked.stderr
    assert json.loads((project / "reports/check/check.json").read_text())["verdict"] == "broken"


def test_a_rule_that_only_warns_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "rules.yaml"
    file.write_text("columns: {sepal_length: {max: 7.5, severity: warn}}\n")
    require_contract(DataSettings(source="iris", target="target", contract=str(file)))
    assert "Warning: sepal_length: max 7.5: 6 of 150 rows" in capsys.readouterr().out


def test_a_contract_that_the_settings_name_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    require_contract(DataSettings(source="iris", target="target"))  # none is needed
    with pytest.raises(InputError, match=r"rules.yaml: no such contract; to propose one"):
        require_contract(DataSettings(source="iris", target="target", contract="rules.yaml"))


def test_drift_reports_the_rules_that_current_data_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/data.yaml").write_text("columns: {age: {max: 100}, outcome: {missing: 0}}")
    pd.DataFrame({"age": [30, 101, 140]}).to_csv("now.csv", index=False)
    data = {"source": "rows.csv", "target": "outcome"}
    project = Settings.model_validate({"model": "m", "data": data})
    assert broken_rules_of_file("now.csv", project) == [
        "breaks a rule of the contract, age: max 100: 2 of 3 rows, such as row 2 (101), row 3 (140)"
    ]
    log = PredictionLog(f"sqlite:///{tmp_path}/predictions.db")
    log.append_now([a_record(features='{"age": 120}', model="m"), a_record(model="m")])
    log.close()
    assert broken_rules_of_log(f"sqlite:///{tmp_path}/predictions.db", project, 1) == [
        "breaks a rule of the contract, age: max 100: 1 of 2 rows, such as row 1 (120)"
    ]
