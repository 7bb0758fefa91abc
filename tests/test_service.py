"""The A/B service as its users call it: a real service with real models and a real log."""

import csv
import io
import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bentoml
import pytest

from ratchet.predictions.assignment import salt_of
from tests.projects import new_project
from tests.records import arm_of
from tests.services import FEATURES, TOKEN, Service, iris_project, move, serving, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return iris_project(tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def service(project: Path, state: Path) -> Iterator[Service]:
    with serving(project, state) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        service.put("/split", {"ab_split_b": 0.5})
        yield service


def row(request_id: str, state: Path) -> dict[str, Any]:
    database = sqlite3.connect(state / "predictions.db")
    database.row_factory = sqlite3.Row
    rows = database.execute("select * from predictions where request_id = ?", [request_id])
    return dict(rows.fetchone())


def test_an_answer_says_who_gave_it_and_is_in_the_log(service: Service, state: Path) -> None:
    status, answer = service.predict("user-1")
    assert status == 200
    assert answer["prediction"] == "setosa"
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["model_version"] == {"A": "1", "B": "2"}[answer["variant"]]
    kept = row(answer["request_id"], state)
    assert (kept["user_id"], kept["arm"], kept["split"]) == ("user-1", answer["variant"], 0.5)
    assert json.loads(kept["features"]) == FEATURES
    assert json.loads(kept["probabilities"]) == answer["probabilities"]
    assert kept["latency_ms"] > 0


def salt(state: Path) -> str | None:
    (secret,) = (
        sqlite3.connect(state / "predictions.db")
        .execute("select value from assignment_secret")
        .fetchone()
    )
    return salt_of(secret, "2")


def test_a_user_always_gets_the_same_arm(service: Service, state: Path) -> None:
    arms = {service.predict("user-7")[1]["variant"] for _ in range(20)}
    assert arms == {arm_of("user-7", salt(state), 0.5)}


def test_both_arms_answer_about_their_share_of_users(service: Service, state: Path) -> None:
    of_test = salt(state)
    rows = [{"user_id": f"u{i}", "features": FEATURES} for i in range(1000)]
    _, answers = service.post("/predict", rows)
    assert [one["variant"] for one in answers] == [
        arm_of(f"u{i}", of_test, 0.5) for i in range(1000)
    ]
    assert 430 < sum(one["variant"] == "B" for one in answers) < 570


def test_raising_the_split_moves_users_from_a_to_b_only(service: Service) -> None:
    rows = [{"user_id": f"u{i}", "features": FEATURES} for i in range(200)]
    before = [one["variant"] for one in service.post("/predict", rows)[1]]
    service.put("/split", {"ab_split_b": 0.8})
    after = [one["variant"] for one in service.post("/predict", rows)[1]]
    service.put("/split", {"ab_split_b": 0.5})
    assert all(later == "B" for was, later in zip(before, after, strict=True) if was == "B")
    assert after.count("B") > before.count("B")


def test_each_row_of_a_list_is_answered_as_alone(service: Service) -> None:
    flowers = [FEATURES | {"petal_length": 0.5 * i, "petal_width": 0.1 * i} for i in range(20)]
    rows = [{"user_id": f"u{i}", "features": one} for i, one in enumerate(flowers)]
    together = service.post("/predict", rows)[1]
    alone = [service.post("/predict", one)[1] for one in rows]
    assert [one["prediction"] for one in together] == [one["prediction"] for one in alone]
    for left, right in zip(together, alone, strict=True):
        assert left["probabilities"] == pytest.approx(right["probabilities"], rel=1e-9)


REFUSED = {
    "missing": ({"user_id": "u", "features": {}}, "features.sepal_length", None),
    "unknown": (
        {"user_id": "u", "features": FEATURES | {"colour": 1}},
        "features.colour",
        1,
    ),
    "text for a number": (
        {"user_id": "u", "features": FEATURES | {"petal_width": "wide"}},
        "features.petal_width",
        "wide",
    ),
    "true for a number": (
        {"user_id": "u", "features": FEATURES | {"petal_width": True}},
        "features.petal_width",
        True,
    ),
    "no user": ({"features": FEATURES}, "user_id", None),
    "empty user": ({"user_id": "", "features": FEATURES}, "user_id", ""),
    "a number for a user": ({"user_id": 7, "features": FEATURES}, "user_id", 7),
    "in a list": (
        [{"user_id": "u", "features": FEATURES}, {"user_id": "u", "features": 3}],
        "[1].features",
        3,
    ),
    "a label of another type": (
        {"user_id": "u", "features": FEATURES, "label": 3},
        "label",
        3,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_and_named(service: Service, case: str) -> None:
    content, field, value = REFUSED[case]
    status, answer = service.post("/predict", content)
    assert status == 422
    assert (answer["field"], answer["value"]) == (field, value)
    assert answer["expected"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "1.3e308", "9" * 400])
def test_a_number_that_no_model_can_take_is_named(service: Service, literal: str) -> None:
    body = json.dumps({"user_id": "u", "features": FEATURES}).replace("5.1", literal)
    status, answer = service.send("/predict", body.encode())
    assert (status, answer["field"]) == (422, "features.sepal_length")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"user_id": "\\ud800"}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b" " * 9_000_000, "application/json", 413),
    ],
    ids=["half", "no utf-8", "deep", "half a surrogate", "empty list", "a form", "too large"],
)
def test_a_body_that_is_not_a_request_is_a_4xx(
    service: Service, body: bytes, kind: str, status: int
) -> None:
    assert service.send("/predict", body, kind)[0] in (status, 422)


def test_a_missing_value_is_null(service: Service) -> None:
    assert service.predict("user-1", sepal_width=None)[0] == 200


def test_a_label_is_set_once(service: Service, state: Path) -> None:
    request_id = service.predict("user-2")[1]["request_id"]
    feedback = {"request_id": request_id, "label": "setosa"}
    assert service.post("/feedback", feedback)[0] == 200
    assert service.post("/feedback", feedback)[0] == 200
    assert service.post("/feedback", feedback | {"label": "virginica"})[0] == 409
    assert row(request_id, state)["label"] == '"setosa"'


def test_feedback_for_an_unknown_request_is_a_404(service: Service) -> None:
    unknown = {"request_id": "0193a5e8-7b1c-7abc-8def-0123456789ab", "label": "setosa"}
    assert service.post("/feedback", unknown)[0] == 404


def test_many_labels_in_one_request_each_have_an_outcome(service: Service) -> None:
    ids = [service.predict(f"user-{i}")[1]["request_id"] for i in range(3)]
    labels = [{"request_id": one, "label": "setosa"} for one in [*ids, ids[0], "unknown"]]
    status, answer = service.post("/feedback", labels)
    outcomes = [one["outcome"] for one in answer["outcomes"]]
    assert (status, outcomes) == (200, ["set", "set", "set", "same", "unknown"])


def test_a_label_of_another_type_is_refused(service: Service) -> None:
    status, answer = service.post("/feedback", {"request_id": "x", "label": 3})
    assert (status, answer["field"]) == (422, "label")


def test_a_label_may_come_with_the_request(service: Service, state: Path) -> None:
    content = {"user_id": "u", "features": FEATURES, "label": "setosa"}
    request_id = service.post("/predict", content)[1]["request_id"]
    assert row(request_id, state)["label"] == '"setosa"'


def test_only_a_client_with_the_token_can_change_the_split(service: Service, state: Path) -> None:
    assert service.put("/split", {"ab_split_b": 0.3}, token="wrong")[0] == 401
    assert service.put("/split", {"ab_split_b": 0.3}, token=None)[0] == 401
    assert service.get("/split")[1]["ab_split_b"] == 0.5
    assert service.put("/split", {"ab_split_b": 0.3})[1]["ab_split_b"] == 0.3
    assert service.get("/split")[1]["ab_split_b"] == 0.3
    assert service.put("/split", {"ab_split_b": 0.5})[0] == 200
    log = (state / "service.log").read_text()
    assert TOKEN not in log


@pytest.mark.parametrize("value", [-0.1, 1.1, "half", None, True])
def test_a_split_that_is_not_between_0_and_1_is_refused(service: Service, value: object) -> None:
    assert service.put("/split", {"ab_split_b": value})[0] == 422
    assert service.get("/split")[1]["ab_split_b"] == 0.5


def test_the_log_comes_as_csv_filtered_by_time_and_version(service: Service) -> None:
    began = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.01)
    answers = [service.predict(f"csv-{i}")[1] for i in range(20)]
    status, text = service.get(f"/log.csv?since={began}", TOKEN)
    lines = list(csv.DictReader(io.StringIO(text)))
    assert status == 200
    assert [one["request_id"] for one in lines] == sorted(a["request_id"] for a in answers)
    assert list(lines[0]) == [
        "request_id",
        "timestamp",
        "user_id",
        "variant",
        "model_version",
        *FEATURES,
        "prediction",
        "label",
    ]
    _, text = service.get(f"/log.csv?since={began}&version=2", TOKEN)
    of_b = [one["request_id"] for one in csv.DictReader(io.StringIO(text))]
    assert sorted(of_b) == sorted(a["request_id"] for a in answers if a["variant"] == "B")
    assert service.get("/log.csv?since=yesterday", TOKEN)[0] == 422
    assert service.get("/log.csv")[0] == 401


def test_bentomls_own_client_calls_it(service: Service) -> None:
    with bentoml.SyncHTTPClient(service.address) as client:
        answer = client.predict(user_id="user-1", features=FEATURES)
        outcome = client.feedback(request_id=answer["request_id"], label="setosa")
    assert answer["prediction"] == "setosa"
    assert outcome["outcome"] == "set"


def test_the_document_describes_every_route_with_an_example_that_works(service: Service) -> None:
    document = service.get("/docs.json")[1]
    assert set(document["paths"]) == {
        "/predict",
        "/feedback",
        "/split",
        "/log.csv",
        "/status",
        "/ab",
        "/ab.json",
        "/metrics",
        "/livez",
        "/readyz",
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation["responses"]["200"]["content"]
            assert all("example" in one for one in content.values()), (method, path)
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert service.post("/predict", body["example"])[0] == 200


def test_metrics_are_counted_for_each_arm(service: Service) -> None:
    def answered(arm: str, text: str) -> float:
        sign = f'ratchet_requests_total{{arm="{arm}"'
        return sum(float(line.split()[-1]) for line in text.splitlines() if sign in line)

    before = service.get("/metrics")[1]
    arms = [service.predict(f"m-{i}")[1]["variant"] for i in range(30)]
    first = service.predict("m-0")[1]
    arms.append(first["variant"])
    service.post("/feedback", {"request_id": first["request_id"], "label": "setosa"})
    after = service.get("/metrics")[1]
    for arm in ("A", "B"):
        assert answered(arm, after) - answered(arm, before) == arms.count(arm)
    for name in ("errors", "fallbacks", "labels", "right_answers"):
        assert f"ratchet_{name}_total" in after
    assert "ratchet_latency_seconds_bucket" in after
    assert "ratchet_log_queue" in after


def test_a_method_that_a_route_does_not_have_is_a_405(service: Service) -> None:
    assert service.get("/predict")[0] == 405


def test_the_pages_numbers_count_what_is_in_the_log(service: Service, state: Path) -> None:
    for number in range(20):
        answer = service.predict(f"shown-{number}")[1]
        label = {"request_id": answer["request_id"], "label": answer["prediction"]}
        assert service.post("/feedback", label)[0] == 200
    database = sqlite3.connect(state / "predictions.db")
    for arm in ("A", "B"):
        counted = database.execute(
            "select count(*), count(label), sum(label = prediction) from predictions"
            " where arm = ? and prod_version = '1' and staging_version = '2'",
            [arm],
        ).fetchone()

        def are_shown(arm: str = arm, counted: tuple[int, ...] = counted) -> bool:
            arm_numbers = service.get("/ab.json")[1]["arms"][arm]
            return (
                arm_numbers["requests"],
                arm_numbers["labelled"],
                arm_numbers["right"],
            ) == counted

        service.until(are_shown)
    numbers = service.get("/ab.json")[1]
    assert any("labelled users in arm B" in need for need in numbers["missing"])


def test_admin_routes_are_closed_if_no_token_is_set(project: Path, tmp_path: Path) -> None:
    with serving(project, tmp_path, RATCHET_ADMIN_TOKEN="", RATCHET_PREDICT_TOKEN="p") as service:
        assert service.put("/split", {"ab_split_b": 1}, token="")[0] == 403
        assert service.put("/split", {"ab_split_b": 1}, token="p")[0] == 403
        assert service.get("/log.csv")[0] == 403
        assert service.predict("u")[0] == 401
        assert service.post("/predict", {"user_id": "u", "features": FEATURES}, "p")[0] == 200


def test_the_aliases_are_followed_without_a_restart(project: Path, tmp_path: Path) -> None:
    def versions() -> tuple[object, object]:
        status = service.get("/status")[1]
        return tuple((status[role] or {}).get("version") for role in ("prod", "staging"))  # type: ignore[return-value]

    with serving(project, tmp_path) as service:
        service.until(lambda: versions() == ("1", "2"))
        try:
            move(project, prod="2", staging="")
            service.until(lambda: versions() == ("2", None))
            assert service.predict("user-1")[1]["model_version"] == "2"
        finally:
            move(project, prod="1", staging="2")
        service.until(lambda: versions() == ("1", "2"))


def test_the_loaded_versions_are_served_while_the_registry_is_down(
    project: Path, tmp_path: Path
) -> None:
    with serving(project, tmp_path) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
    down = "http://127.0.0.1:9"
    with serving(project, tmp_path, MLFLOW_TRACKING_URI=down) as service:
        service.until(lambda: "InputError" in service.get("/status")[1]["registry"])
        assert service.predict("user-1")[1]["prediction"] == "setosa"
        assert service.get("/status")[1]["staging"]["version"] == "2"


def test_prod_answers_if_staging_is_too_slow_and_the_failure_is_logged_for_staging(
    project: Path, tmp_path: Path
) -> None:
    """A forest takes milliseconds, and its limit is a tenth of a millisecond."""
    train(project, "forest.yaml")
    (tmp_path / "hasty").mkdir()
    hasty = new_project(
        tmp_path / "hasty",
        {
            "model": "iris",
            "data": {"source": "iris", "target": "target"},
            "ab": {"split": 1.0, "staging_timeout_ms": 0.1},
        },
    )
    store = f"sqlite:///{project}/mlflow.db"
    try:
        move(project, staging="3")
        with serving(hasty, tmp_path, MLFLOW_TRACKING_URI=store) as service:
            service.until(lambda: service.get("/status")[1]["staging"]["version"] == "3")
            _, answer = service.predict("user-1")
            assert (answer["variant"], answer["model_version"]) == ("A", "1")
            assert answer["fallback"] is True
            kept = row(answer["request_id"], tmp_path)
            assert (kept["assigned_arm"], kept["arm"], kept["fallback"]) == ("B", "A", 1)
            assert kept["error"] == "no answer in 0.1 ms"
            assert 'ratchet_errors_total{arm="B"} 1.0' in service.get("/metrics")[1]
            service.until(lambda: service.get("/ab.json")[1]["arms"]["B"]["errors"] == 1)
    finally:
        move(project, staging="2")


def test_the_other_version_scores_each_request_too_in_shadow_mode(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "shadowed").mkdir()
    shadowed = new_project(
        tmp_path / "shadowed",
        {
            "model": "iris",
            "data": {"source": "iris", "target": "target"},
            "ab": {"split": 0.5, "shadow": True},
        },
    )
    store = f"sqlite:///{project}/mlflow.db"
    with serving(shadowed, tmp_path, MLFLOW_TRACKING_URI=store) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        answers = [service.predict(f"user-{i}")[1] for i in range(20)]

        def shadows() -> list[str | None]:
            return [row(one["request_id"], tmp_path)["shadow_version"] for one in answers]

        service.until(lambda: None not in shadows())
        assert shadows() == ["1" if one["variant"] == "B" else "2" for one in answers]
