"""A table of strings, dates, booleans and missing values, from a CSV to answers over HTTP."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest

from tests.projects import BASELINE, free_port, new_project, process, run_step

pytestmark = pytest.mark.slow

COLUMNS = ["plan", "city", "joined", "newsletter", "visits", "spent"]
ROWS = [
    ["basic", "Lyon", "2023-03-01", True, 3.0, 12.5],
    ["premium", "Oslo", "2024-11-20", False, 25.0, 310.0],
    [None, None, None, None, None, None],
    ["platinum", "Atlantis", "2031-01-01", True, 8.0, None],
]
"""The third row is all gaps; the fourth has a plan and a city that no training row has."""


def customers(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    joined = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    frame = pd.DataFrame(
        {
            "plan": rng.choice(["basic", "plus", "premium"], rows),
            "city": rng.choice(["Lyon", "Oslo", "Porto"], rows),
            "joined": joined.strftime("%Y-%m-%d"),
            "newsletter": rng.choice(["true", "false"], rows),
            "visits": rng.poisson(10, rows),
            "spent": rng.gamma(2, 50, rows).round(2),
        }
    )
    stays = (frame["visits"] > 9) | (frame["plan"] == "premium")
    frame = frame.mask(rng.random(frame.shape) < 0.08)
    return frame.assign(outcome=np.where(stays, "stays", "leaves"))


@dataclass(frozen=True)
class Service:
    address: str
    store: str

    def answers(self, **payload: Any) -> list[str]:
        request = urllib.request.Request(
            self.address, json.dumps(payload).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return list(json.load(response)["predictions"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("customers")
    customers().to_csv(folder / "customers.csv", index=False)
    data = {"source": "customers.csv", "target": "outcome"}
    project = new_project(folder / "project", {"model": "churn", "data": data})
    (folder / "customers.csv").rename(project / "customers.csv")
    for step, arguments in {"train": {"config": BASELINE}, "evaluate": {}}.items():
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    assert "is prod now" in done.stdout, done.stdout

    port, store = free_port(), f"sqlite:///{project}/mlflow.db"
    command = ["mlflow", "models", "serve", "-m", "models:/churn@prod", "--env-manager", "local"]
    command += ["--port", str(port), "--workers", "1"]
    with process(command, project, port, MLFLOW_TRACKING_URI=store):
        yield Service(f"http://localhost:{port}/invocations", store)


def records() -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def test_raw_rows_with_gaps_and_unseen_categories_are_answered(service: Service) -> None:
    answers = service.answers(dataframe_split={"columns": COLUMNS, "data": ROWS})
    assert answers[:2] == ["leaves", "stays"]
    assert set(answers[2:]) <= {"stays", "leaves"}


def test_records_and_split_are_answered_alike(service: Service) -> None:
    split = service.answers(dataframe_split={"columns": COLUMNS, "data": ROWS})
    assert service.answers(dataframe_records=records()) == split


def test_a_single_row_gets_the_same_answer_as_in_a_batch(service: Service) -> None:
    """A single row of missing values has no types to infer."""
    batch = service.answers(dataframe_records=records())
    assert [service.answers(dataframe_records=[row])[0] for row in records()] == batch


@pytest.mark.parametrize("flavour", [mlflow.sklearn, mlflow.pyfunc])
def test_a_loaded_model_predicts_the_same_as_the_service(service: Service, flavour: Any) -> None:
    mlflow.set_tracking_uri(service.store)
    try:
        model = flavour.load_model("models:/churn@prod")
    finally:
        mlflow.set_tracking_uri(None)
    rows = customers(50).drop(columns="outcome")
    body = json.loads(rows.to_json(orient="split", index=False))
    rows["joined"] = pd.to_datetime(rows["joined"])  # in process, MLflow takes no text for a date
    rows["newsletter"] = rows["newsletter"].map({"true": True, "false": False})
    assert list(model.predict(rows)) == service.answers(dataframe_split=body)
