"""The contract's rules on the values of requests, in the application and alone."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ratchet.columns import Column
from ratchet.contract.rules import Contract
from ratchet.errors import InputError
from ratchet.packaging.bento import _copy_contract
from ratchet.serving import worker
from ratchet.serving.contract_check import ContractCheck, Use, contract_check
from ratchet.serving.features import RequestRows
from ratchet.serving.following import Follower
from ratchet.serving.requests import BadRequestError
from ratchet.serving.routes import routes
from ratchet.settings import DataSettings
from tests.projects import new_project
from tests.small_registry import SmallRegistry

COLUMNS = (
    Column("age", "double"),
    Column("day", "datetime"),
    Column("country", "string"),
    Column("code", "string"),
)
RULES = {
    "age": {"min": 18, "max": 120, "missing": 0.0},
    "day": {"min": "2020-01-01"},
    "country": {"values": ["DE", "FR"], "severity": "warn"},
    "code": {"values": [1, 2], "min": 1},
    "other": {"min": 0},
}
GOOD = (30.0, datetime(2024, 1, 1), "DE", "1")


def rows(*values: tuple[Any, ...]) -> RequestRows:
    return RequestRows(["u"] * len(values), values, ["{}"] * len(values), [None] * len(values))


def check(use: Use) -> tuple[ContractCheck, Counter[tuple[str, str]]]:
    counted: Counter[tuple[str, str]] = Counter()

    def count(column: str, rule: str, number: int) -> None:
        counted[column, rule] += number

    contract = Contract.model_validate({"columns": RULES})
    return ContractCheck(contract, use, count), counted


def test_rows_that_keep_the_contract_and_missing_values_pass():
    one, counted = check("refuse")
    one.check(COLUMNS, rows(GOOD, (None, None, None, None)), is_list=True)
    assert counted == {}


@pytest.mark.parametrize(
    ("place", "value", "rule", "message"),
    [
        (0, 17.0, "min", "[1].features.age is 17.0; expected at least 18.0"),
        (0, 121.0, "max", "[1].features.age is 121.0; expected at most 120.0"),
        (
            1,
            datetime(2019, 5, 1),
            "min",
            "[1].features.day is 2019-05-01T00:00:00; expected at least 2020-01-01",
        ),
        (3, "3", "values", "[1].features.code is 3; expected one of 1, 2"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_and_named(
    place: int, value: Any, rule: str, message: str
):
    broken = (*GOOD[:place], value, *GOOD[place + 1 :])
    one, counted = check("refuse")
    with pytest.raises(BadRequestError) as refused:
        one.check(COLUMNS, rows(GOOD, broken), is_list=True)
    assert str(refused.value) == message
    assert counted == {(COLUMNS[place].name, rule): 1}


def test_a_rule_that_warns_and_a_check_that_counts_refuse_nothing():
    one, counted = check("refuse")
    one.check(COLUMNS, rows((30.0, GOOD[1], "XX", "1")), is_list=False)
    assert counted == {("country", "values"): 1}
    one, counted = check("count")
    one.check(COLUMNS, rows((1.0, GOOD[1], "XX", "9"), (2.0, *GOOD[1:])), is_list=True)
    assert counted == {("age", "min"): 2, ("country", "values"): 1, ("code", "values"): 1}


def test_a_service_without_the_contract_that_it_should_check_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    data = DataSettings(source="a.csv", target="y")
    assert contract_check("off", data, lambda *_: None) is None
    with pytest.raises(InputError, match=r"^ab\.contract is count, but there is no "):
        contract_check("count", data, lambda *_: None)
    with pytest.raises(InputError, match="must be a file of the project"):
        _copy_contract("/etc/hostname", tmp_path)


def test_a_bento_holds_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/data.yaml").write_text("columns: {}\n")
    _copy_contract("configs/data.yaml", tmp_path / "context")
    assert (tmp_path / "context/configs/data.yaml").read_text() == "columns: {}\n"


def forget_metrics() -> None:
    """Let this process register the service's metrics again: other tests have a service too."""
    from prometheus_client import REGISTRY

    for collector, names in list(REGISTRY._collector_to_names.items()):
        if any(name.startswith("ratchet_") for name in names):
            REGISTRY.unregister(collector)


@contextmanager
def service(folder: Path) -> Iterator[TestClient]:
    registry = SmallRegistry(folder / "store", named={"prod": "1"})
    registry.add("1", ["big", "small"])
    Follower(folder / "models", "iris").look(registry)
    data = {"source": "iris", "target": "target"}
    project = new_project(
        folder / "project", {"model": "iris", "data": data, "ab": {"contract": "refuse"}}
    )
    rules = {"columns": {"width": {"max": 10}}}
    (project / "configs/data.yaml").write_text(yaml.safe_dump(rules))

    async def no_follower(_: Any) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("RATCHET_LOG_URL", f"sqlite:///{folder}/predictions.db")
        patch.setenv("RATCHET_MODELS", str(folder / "models"))
        patch.setattr(worker, "_keep_a_follower", no_follower)
        patch.setattr(worker, "log_as_json", lambda: None)
        forget_metrics()
        with TestClient(routes(Starlette(), None)) as client:
            yield client
        forget_metrics()


def test_the_service_answers_422_and_logs_nothing(tmp_path: Path):
    with service(tmp_path) as client:
        good = client.post("/predict", json={"user_id": "u", "features": {"width": 1.0}})
        bad = client.post("/predict", json={"user_id": "u", "features": {"width": 11.0}})
    assert good.status_code == 200
    assert bad.status_code == 422
    assert bad.json()["field"] == "features.width"
    assert "expected at most 10" in bad.json()["error"]
    with closing(sqlite3.connect(tmp_path / "predictions.db")) as log:
        assert log.execute("SELECT count(*) FROM predictions").fetchone() == (1,)
