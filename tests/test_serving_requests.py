"""Hostile and unusual requests to the application in this process."""

import asyncio
import json
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ratchet.predictions.arm_counts import ArmCounts
from ratchet.predictions.assignment import pseudonymize, salt_of
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import time_of
from ratchet.serving import ab_numbers, admin, replies, scorer, shadowing, worker
from ratchet.serving.active_versions import write_active_versions
from ratchet.serving.features import Inputs
from ratchet.serving.following import Follower
from ratchet.serving.metrics import GAUGES
from ratchet.serving.routes import routes
from ratchet.serving.shadowing import Shadowing
from ratchet.serving.tracing import LogIds
from tests.projects import REPOSITORY, new_project
from tests.records import arm_of
from tests.small_registry import SmallRegistry

TOKEN = "a tökén"
SECRET = "a secret"
ROW = {"user_id": "u", "features": {"width": 1.0}}
JSON = {"Content-Type": "application/json"}
ROUTES = ["/predict", "/feedback", "/split"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    """Return a client of the routes, without BentoML; the versions are on disk already."""
    registry = SmallRegistry(folder / "store", named={"prod": "1", "staging": "2"})
    registry.add("1", ["big", "small"])
    registry.add("2", ["big", "small"])
    Follower(folder / "models", "iris").look(registry)
    settings = {
        "model": "iris",
        "data": {"source": "iris", "target": "target"},
        "ab": {"split": 0.5, "hash_users": True},
    }
    project = new_project(folder / "project", settings)

    async def no_follower(_: Any) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("RATCHET_LOG_URL", f"sqlite:///{folder}/predictions.db")
        patch.setenv("RATCHET_MODELS", str(folder / "models"))
        patch.setenv("RATCHET_USER_SECRET", SECRET)
        patch.setenv("RATCHET_ADMIN_TOKEN", TOKEN)
        patch.setattr(worker, "_keep_a_follower", no_follower)
        patch.setattr(worker, "log_as_json", lambda: None)
        with TestClient(routes(Starlette(), None), raise_server_exceptions=False) as client:
            yield client


def send(client: TestClient, path: str, body: bytes | str) -> Any:
    method = "PUT" if path == "/split" else "POST"
    headers = JSON | {"Authorization": f"Bearer {TOKEN}".encode()}
    return client.request(method, path, content=body, headers=headers)


@pytest.mark.parametrize("depth", [100, 500, 900, 2_000, 100_000])
@pytest.mark.parametrize("path", ROUTES)
def test_a_deeply_nested_body_is_a_4xx(client: TestClient, path: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for body in (
        nested,
        f'{{"user_id": {nested}, "features": {{"width": 1}}}}',
        f'{{"user_id": "u", "features": {{"width": {nested}}}}}',
        f'{{"request_id": "r", "label": {nested}}}',
        f'{{"ab_split_b": {nested}}}',
    ):
        assert send(client, path, body).status_code in (400, 422)


def test_a_body_of_a_million_arrays_is_refused_in_a_short_answer_and_read_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Inputs, "_faults")  # it would read the body again, for seconds
    body = f'{{"user_id": [{",".join(["[]"] * 1_000_000)}], "features": {{"width": 1}}}}'
    answer = send(client, "/predict", body)
    assert (answer.status_code, answer.json()["field"]) == (422, "user_id")
    assert len(answer.content) < 1000


@pytest.mark.parametrize("value", [["x"] * 1000, {"x": 1}, "x" * 1000, 10**300])
def test_the_error_shortens_a_refused_value(client: TestClient, value: object) -> None:
    answer = send(client, "/predict", json.dumps({"user_id": "u", "features": {"width": value}}))
    assert (answer.status_code, answer.json()["field"]) == (422, "features.width")
    assert len(answer.content) < 1000


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_an_empty_list_is_a_422_everywhere(client: TestClient, path: str) -> None:
    answer = send(client, path, "[]")
    assert (answer.status_code, answer.json()["field"]) == (422, "body")


@pytest.mark.parametrize("label", ["banana", "Big", "x" * 8000, "a\0b", 1, None, [], True])
def test_a_label_that_is_not_a_class_is_refused(client: TestClient, label: object) -> None:
    request_id = send(client, "/predict", json.dumps(ROW)).json()["request_id"]
    answer = send(client, "/feedback", json.dumps({"request_id": request_id, "label": label}))
    assert (answer.status_code, answer.json()["field"]) == (422, "label")
    later = send(client, "/feedback", json.dumps({"request_id": request_id, "label": "big"}))
    assert (later.status_code, later.json()["outcome"]) == (200, "set")
    if label is not None:
        with_row = send(client, "/predict", json.dumps(ROW | {"label": label}))
        assert (with_row.status_code, with_row.json()["field"]) == (422, "label")


def test_errors_for_an_unknown_route_or_method_are_json(client: TestClient) -> None:
    missing = client.get("/nothing")
    assert (missing.status_code, missing.json()) == (404, {"error": "Not Found"})
    for path, allowed in (("/split", "GET, PUT, HEAD"), ("/predict", "POST")):
        answer = client.delete(path)
        assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
        assert answer.headers["allow"] == allowed
    assert client.head("/status").status_code == 200
    assert client.options("/status").status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "text/plain"},
    ],
)
def test_a_body_in_another_form_is_a_415(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/predict", content=json.dumps(ROW), headers=headers)
    assert answer.status_code == 415
    utf8 = {"Content-Type": 'application/json; charset="UTF-8"'}
    assert client.post("/predict", content=json.dumps(ROW), headers=utf8).status_code == 200


def test_a_token_may_have_any_characters(client: TestClient) -> None:
    assert send(client, "/split", '{"ab_split_b": 0.5}').status_code == 200
    wrong = {"Authorization": b"Bearer \xff\xfe", **JSON}
    answer = client.put("/split", content='{"ab_split_b": 0.5}', headers=wrong)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_hashed_users_are_assigned_by_the_hash_in_the_log(client: TestClient, folder: Path) -> None:
    rows = [ROW | {"user_id": f"user-{number}"} for number in range(400)]
    answers = send(client, "/predict", json.dumps(rows)).json()
    database = sqlite3.connect(folder / "predictions.db")
    (secret,) = database.execute("select value from assignment_secret").fetchone()
    for row, answer in zip(rows, answers, strict=True):
        (user,) = database.execute(
            "select user_id from predictions where request_id = ?", [answer["request_id"]]
        ).fetchone()
        assert user == pseudonymize(str(row["user_id"]), SECRET)
        assert answer["variant"] == arm_of(user, salt_of(secret, "2"), 0.5)


def test_a_full_queue_is_a_503_that_says_when_to_try_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "MAX_ROWS_WAITING", 0)
    answer = send(client, "/predict", json.dumps(ROW))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "try again later" in answer.json()["error"]


def test_the_status_names_the_scoring_path_of_every_version(client: TestClient) -> None:
    prod = client.get("/status").json()["prod"]
    assert prod == {
        "version": "1",
        "config": "baseline",
        "path": "direct, linear",
        "why_not_faster": None,
    }


def metric(name: str) -> float:
    """Return a metric, summed over its labels."""
    from prometheus_client import REGISTRY

    samples = [sample for family in REGISTRY.collect() for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name)


def worker_of(client: TestClient) -> worker.Worker:
    running: worker.Worker = client.app_state["worker"]
    return running


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.05)


@pytest.mark.parametrize("route", ["/log.csv", "/ab.json"])
def test_a_database_that_does_not_answer_an_export_or_a_page_holds_up_no_change_of_the_split(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """More reading clients wait than the threads that all routes share can hold."""
    answers = threading.Event()

    def wait(*_: Any, **__: Any) -> Any:
        answers.wait(60)
        return "a page" if route == "/log.csv" else {}

    monkeypatch.setattr(admin, "csv_pages", lambda *_, **__: map(wait, ["a page"]))
    monkeypatch.setattr(ab_numbers, "ab_numbers", wait)
    headers = {"Authorization": f"Bearer {TOKEN}".encode()}
    with ThreadPoolExecutor(41) as pool:
        waiting = [
            pool.submit(client.get, f"{route}?hours={number + 1}", headers=headers)
            for number in range(40)
        ]
        changed = pool.submit(send, client, "/split", '{"ab_split_b": 0.5}')
        try:
            assert changed.result(timeout=30).status_code == 200
            assert not any(one.done() for one in waiting)
        finally:
            answers.set()


def test_the_gauges_show_the_split_the_refused_versions_and_the_registry(
    client: TestClient, folder: Path
) -> None:
    running = worker_of(client)
    before = running.arms.active
    assert before
    assert send(client, "/split", '{"ab_split_b": 0.25}').status_code == 200
    refused = replace(before, refused={"8": "no skops", "9": "no skops"}, registry="down")
    write_active_versions(folder / "models", refused)
    try:
        until(lambda: metric("ratchet_versions_refused") == 2)
        until(lambda: metric("ratchet_split") == 0.25)
        assert metric("ratchet_registry_up") == 0
    finally:
        write_active_versions(folder / "models", before)
        assert send(client, "/split", '{"ab_split_b": 0.5}').status_code == 200
    until(lambda: metric("ratchet_versions_refused") == 0)
    assert metric("ratchet_registry_up") == 1


def test_the_gauges_show_what_waits_for_the_log_and_how_long_a_commit_took(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, goes_on = worker_of(client).log._database, threading.Event()
    real = database.write
    monkeypatch.setattr(database, "write", lambda works: goes_on.wait(60) and real(works))
    monkeypatch.setattr(worker_of(client).log._queue, "_commit", database.write)
    monkeypatch.setattr(PredictionLog, "is_journalling", True)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.post, "/predict", json=ROW) for _ in range(3)]
        try:
            until(lambda: metric("ratchet_log_queue") > 0)
            assert metric("ratchet_log_journalling") == 1
        finally:
            goes_on.set()
        assert [one.result().status_code for one in waiting] == [200] * 3
    until(lambda: metric("ratchet_log_commit_seconds") > 0)
    until(lambda: metric("ratchet_log_queue") == 0)


def test_the_gauges_show_rows_that_wait_for_a_model_and_for_a_shadow_answer(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = worker_of(client)

    async def never(_: Shadowing) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Shadowing, "_run", never)
    monkeypatch.setattr(shadowing, "MAX_WAITING", 4)
    shadows = Shadowing(running.log, running.metrics)
    monkeypatch.setattr(running.answering, "shadowing", shadows)
    dropped = metric("ratchet_shadows_dropped_total")
    assert client.post("/predict", json=[ROW] * 3).status_code == 200
    until(lambda: metric("ratchet_shadow_queue") == 3)
    assert client.post("/predict", json=[ROW] * 3).status_code == 200
    until(lambda: metric("ratchet_shadow_queue") == 4)
    assert metric("ratchet_shadows_dropped_total") == dropped + 2
    assert running.arms.current
    monkeypatch.setattr(running.arms.current.prod, "rows_waiting", 7)
    until(lambda: metric("ratchet_scorer_queue") == 7)


def test_an_error_of_the_database_shows_no_statement(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("host db-1, port 5432"))

    monkeypatch.setattr(ArmCounts, "latest", fail)
    reply = client.get("/ab.json")
    assert reply.status_code == 503
    assert reply.json() == {"error": "The prediction log cannot be read now"}


@pytest.mark.parametrize("sent", [None, "an id", "x" * 65, "a\u00e9"])
def test_each_answer_has_a_request_id_and_keeps_the_clients(
    client: TestClient, sent: str | None
) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent.encode()}
    for path in ("/predict", "/nothing", "/status"):
        own = client.get(path, headers=headers).headers["x-request-id"]
        assert time_of(own) == pytest.approx(time.time(), abs=60)
        kept = client.get(path, headers={"X-Request-Id": "client-7.a"})
        assert kept.headers.get_list("x-request-id") == ["client-7.a"]


def test_a_line_of_the_services_log_names_the_request_and_the_callers_trace(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scorer, "MAX_ROWS_WAITING", 0)
    caplog.handler.addFilter(LogIds())
    monkeypatch.setattr(replies.log, "disabled", False)  # MLflow's migrations disable loggers
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    for traceparent, expected in ((f"00-{trace}-{span}-01", (trace, span)), ("no", (None, None))):
        headers = {"X-Request-Id": "client-8", "traceparent": traceparent}
        assert client.post("/predict", json=ROW, headers=headers).status_code == 503
        line = vars(caplog.records[-1])
        assert line["msg"] == "not answered"
        assert line["request_id"] == "client-8"
        assert (line.get("trace_id"), line.get("span_id")) == expected


def test_the_alerts_and_the_dashboard_name_metrics_that_exist(client: TestClient) -> None:
    from prometheus_client import REGISTRY

    known = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    known |= {f"{one.name}_total" for one in REGISTRY.collect() if one.type == "counter"}
    known |= {f"{one.name}_bucket" for one in REGISTRY.collect() if one.type == "histogram"}
    rules = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yaml").read_text())
    dashboard = json.loads((REPOSITORY / "deploy/grafana/dashboard.json").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    queries = [rule["expr"] for rule in alerts]
    queries += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = set(re.findall(r"ratchet_\w+", " ".join(queries)))
    assert named <= known
    assert {f"ratchet_{name}" for name, *_ in GAUGES} <= named
    assert all(rule["annotations"]["action"] and rule["labels"]["severity"] for rule in alerts)


def test_the_document_says_what_is_accepted(client: TestClient) -> None:
    document = client.get("/docs.json").json()

    def accepts(name: str, content: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        return bool(Draft202012Validator(schema).is_valid(content))

    label = {"request_id": "0193a5e8-7b1c-7abc-8def-0123456789ab", "label": "big"}
    for name, path, content in (
        ("Request", "/predict", ROW | {"label": None}),
        ("Request", "/predict", ROW | {"label": "large"}),
        ("Request", "/predict", ROW | {"user_id": "a\0b"}),
        ("Feedback", "/feedback", label),
        ("Feedback", "/feedback", label | {"label": None}),
        ("Feedback", "/feedback", label | {"label": "large"}),
        ("Feedback", "/feedback", label | {"request_id": "a\0b"}),
    ):
        status = send(client, path, json.dumps(content)).status_code
        assert accepts(name, content) == (status in (200, 404)), content
    (hours,) = document["paths"]["/ab.json"]["get"]["parameters"]
    most = hours["schema"]["maximum"]
    assert client.get(f"/ab.json?hours={most}").status_code == 200
    assert client.get(f"/ab.json?hours={most + 1}").status_code == 422
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, reply in operation["responses"].items():
                assert all("schema" in one for one in reply["content"].values()), (path, status)


def labels_counted() -> float:
    return metric("ratchet_labels_total")


def test_a_label_is_counted_whether_it_comes_with_the_request_or_later(client: TestClient) -> None:
    before = labels_counted()
    assert client.post("/predict", json={**ROW, "label": "big"}).status_code == 200
    assert labels_counted() == before + 1
    answer = client.post("/predict", json=ROW).json()
    label = {"request_id": answer["request_id"], "label": "big"}
    for _ in range(2):
        assert client.post("/feedback", json=label).status_code == 200
    assert labels_counted() == before + 2


def test_the_page_counts_the_running_test(client: TestClient) -> None:
    arms = client.get("/ab.json").json()["arms"]
    assert arms["A"]["requests"] + arms["B"]["requests"] > 0


def test_no_request_is_answered_while_the_file_of_the_log_is_missing(
    client: TestClient, folder: Path
) -> None:
    file = folder / "predictions.db"
    assert client.get("/readyz").status_code == 200
    file.rename(folder / "elsewhere.db")
    try:
        reply = client.post("/predict", json=ROW)
        assert reply.status_code == 503
        assert "file was deleted or replaced" in reply.json()["error"]
        assert client.get("/readyz").status_code == 503
        headers = {"Authorization": f"Bearer {TOKEN}".encode()}
        reply = client.get("/log.csv", headers=headers)
        assert reply.status_code == 503
        assert reply.json() == {"error": "The prediction log cannot be read now"}
    finally:
        (folder / "elsewhere.db").rename(file)
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", json=ROW).status_code == 200
