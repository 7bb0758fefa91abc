"""Simulated users, labels with a known accuracy, and the comparison with the log."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import insert, select

from ratchet.errors import InputError
from ratchet.predictions.engine import open_engine
from ratchet.predictions.reading import read_log
from ratchet.predictions.tables import assignment_secret, create_tables
from ratchet.settings import read_settings
from ratchet.traffic.agreement import compare
from ratchet.traffic.planned_requests import PlannedRequest, plan_requests
from ratchet.traffic.rows import Rows, read_rows, shifted
from ratchet.traffic.sending import Sent
from ratchet.traffic.traffic import Parameters
from ratchet.traffic.truth import read_truth
from tests.projects import REPOSITORY, free_port, new_project, process, run_step
from tests.services import TOKEN as SERVICE_TOKEN
from tests.services import iris_project, serving
from tests.small_service import TOKEN
from tests.tables import mixed_frame, write

CLASSES = ["setosa", "versicolor", "virginica"]
SETTINGS = read_settings(REPOSITORY / "configs/project.yaml")


def a_request(
    label_draw: float = 0.5, user_draw: float = 0.5, label: str = "setosa"
) -> PlannedRequest:
    return PlannedRequest("user-1", {"petal_length": 1.5}, label, user_draw, label_draw, 0.5)


def test_the_same_seed_makes_the_same_traffic_and_another_seed_another() -> None:
    rows = read_rows("holdout", SETTINGS)
    one, again, other = (list(plan_requests(rows, 300, 20, seed)) for seed in (1, 1, 2))
    assert one == again
    assert [request.features for request in one] != [request.features for request in other]
    assert {request.user_id for request in one}.isdisjoint(request.user_id for request in other)


def test_users_mostly_send_their_own_rows_and_some_send_far_more_than_others() -> None:
    rows = Rows([{"number": float(number)} for number in range(1000)], ["a"] * 1000)
    sent = Counter[str]()
    own = Counter[str]()
    for user, requests in pd.DataFrame(plan_requests(rows, 20_000, 50, 0)).groupby("user_id"):
        counts = Counter(row["number"] for row in requests["features"])
        own[user] = sum(count for _, count in counts.most_common(3))
        sent[user] = len(requests)
    assert sum(own.values()) / 20_000 == pytest.approx(0.8, abs=0.02)
    assert max(sent.values()) > 10 * min(sent.values())


def test_only_rows_of_the_holdout_are_sent() -> None:
    rows = read_rows("holdout", SETTINGS)
    assert len(rows) == 30
    assert set(rows.labels) == set(CLASSES)
    assert list(rows.features[0]) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def test_the_values_of_a_file_are_sent_as_json_types(tmp_path: Path) -> None:
    frame = mixed_frame(60)
    path = write(frame, tmp_path / "mixed.parquet")
    data = SETTINGS.data.model_copy(update={"target": "outcome"})
    rows = read_rows(str(path), SETTINGS.model_copy(update={"data": data}))
    assert json.loads(json.dumps(rows.features[0])) == rows.features[0]
    types = {name: {type(row[name]) for row in rows.features} for name in rows.features[0]}
    assert types["age"] == {float, type(None)}
    assert types["member"] == {bool}
    assert types["joined"] == {str}


def test_simulated_labels_give_each_arm_its_accuracy() -> None:
    truth = read_truth("A=0.90,B=0.95", 0.0, CLASSES)
    lucks = np.random.default_rng(0).random(40_000)
    for arm, accuracy in (("A", 0.90), ("B", 0.95)):
        labels = [truth.label(a_request(luck), arm, "1", "setosa") for luck in lucks]
        counts = Counter(labels)
        assert counts["setosa"] / 40_000 == pytest.approx(accuracy, abs=0.005)
        assert counts["versicolor"] == pytest.approx(counts["virginica"], rel=0.1)


def test_a_version_keeps_its_accuracy_when_it_changes_arms() -> None:
    truth = read_truth("v7=0,A=1", 0.0, CLASSES)
    assert {truth.label(a_request(), arm, "7", "setosa") for arm in "AB"} <= {
        "versicolor",
        "virginica",
    }
    assert truth.label(a_request(), "A", "6", "virginica") == "virginica"
    assert truth.label(a_request(label="setosa"), "B", "6", "virginica") == "setosa"


@pytest.mark.slow
def test_correlated_users_have_the_given_mean_and_variance() -> None:
    """The variance between users' shares is rho * p * (1 - p) if outcomes are 0 and 1."""
    truth = read_truth("A=0.8,B=0.8", 1 / 6, CLASSES)
    shares = [
        np.mean(
            [
                truth.label(a_request(luck, user), "A", "1", "setosa") == "setosa"
                for luck in np.linspace(0, 0.9999, 200)
            ]
        )
        for user in np.linspace(0.001, 0.999, 200)
    ]
    assert np.mean(shares) == pytest.approx(0.8, abs=0.01)
    assert np.var(shares) == pytest.approx(0.8 * 0.2 / 6, rel=0.05)


def test_a_shift_adds_standard_deviations_to_a_column_and_keeps_gaps_and_labels() -> None:
    features = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}, {"a": None, "b": 2.0}]
    rows = Rows(features, ["x", "y", "x"])
    moved = shifted(rows, "a:1.5")
    assert moved.features == [{"a": 2.5, "b": 2.0}, {"a": 4.5, "b": 2.0}, {"a": None, "b": 2.0}]
    assert moved.labels == rows.labels
    assert rows.features[0]["a"] == 1.0


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        ("petal", "expected a column and a number of standard deviations"),
        ("petal_lenght:1", "did you mean 'petal_length'"),
        ("petal_length:much", "expected a column and a number of standard deviations"),
    ],
)
def test_a_shift_that_is_not_valid_is_an_error(shift: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shifted(read_rows("holdout", SETTINGS), shift)


@pytest.mark.parametrize("accuracy", ["B", "B=2", "=0.5", "A=0.9;B=0.9", "A=nan"])
def test_an_accuracy_that_is_not_valid_is_an_error(accuracy: str) -> None:
    with pytest.raises(InputError, match="expected real, accuracies by arm such as A"):
        read_truth(accuracy, 0.0, CLASSES)


def line_of(sent: Sent, **more: str) -> dict[str, str]:
    usual = {
        "request_id": sent.answer["request_id"],
        "user_id": "user-1",
        "variant": "A",
        "model_version": "1",
        "prediction": "setosa",
        "label": "setosa",
        "petal_length": "1.5",
    }
    return usual | more


def test_the_report_has_addresses_without_passwords() -> None:
    log = "postgresql://me:secret@db/log"
    parameters = Parameters("http://here", log, 1, 1, 0, 1, 0, 1, "real", 0, "none", 0, log)
    message = parameters.without_passwords()
    assert message["data"] == message["log"] == "postgresql://me:***@db/log"
    assert (message["url"], message["accuracy"]) == ("http://here", "real")


def test_missing_duplicate_and_different_records_are_named() -> None:
    answer = {"variant": "A", "model_version": "1", "prediction": "setosa"}
    sent = [
        Sent(a_request(), answer | {"request_id": name}, 0.1, "setosa", "set") for name in "abcdef"
    ]
    lines = [line_of(one) for one in sent]
    assert compare(sent, [*lines, line_of(sent[0], request_id="x")]).holds
    faults = [lines[0], lines[0], lines[1] | {"prediction": "virginica"}, lines[2] | {"label": ""}]
    comparison = compare(sent, [*faults, lines[3] | {"petal_length": "1.4"}, lines[4]])
    assert (comparison.missing, comparison.twice, comparison.different, comparison.others) == (
        1,
        1,
        3,
        0,
    )
    assert comparison.examples == [
        "f is not in the log",
        "b: prediction is 'virginica' in the log, expected 'setosa'",
        "c: label is '' in the log, expected 'setosa'",
        "d: petal_length is '1.4' in the log, expected 1.5",
    ]


@contextmanager
def small_service(folder: Path, fault: str = "none") -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.small_service", str(port), log_of(folder), fault]
    with process(command, folder, port):
        yield f"http://127.0.0.1:{port}"


def log_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'log.db'}"


def drive(
    project: Path, url: str, token: str = TOKEN, **arguments: str
) -> tuple[str, dict[str, object]]:
    """Run the step, and return its output and its report."""
    done = run_step(project, "traffic", {"RATCHET_ADMIN_TOKEN": token}, url=url, **arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((project / "reports/traffic/traffic.json").read_text())


@pytest.mark.slow
def test_the_log_agrees_with_the_answers_and_each_arm_has_its_accuracy(
    tmp_path: Path,
) -> None:
    project = new_project(tmp_path)
    with small_service(tmp_path) as url:
        message, report = drive(project, url, requests="800", accuracy="A=0.6,B=0.9", seed="3")
        assert (
            "the log has all 800 of them, with the same values (and 0 requests of other" in message
        )
        again, _ = drive(project, url, requests="100", labelled="0.5", log=log_of(tmp_path))
        assert "the log has all 100 of them" in again
    frame = read_log(log_of(tmp_path)).frame
    assert len(frame) == 900
    assert frame["label"].isna().sum() == pytest.approx(50, abs=20)
    first = frame[:800]
    right = (first["prediction"] == first["label"]).groupby(first["arm"]).mean()
    assert right["A"] == pytest.approx(0.6, abs=0.08)
    assert right["B"] == pytest.approx(0.9, abs=0.06)
    by_arm = {row["arm"]: row["right"] for row in report["arms"]}  # type: ignore[attr-defined]
    assert by_arm == pytest.approx(dict(right))


@pytest.mark.slow
def test_the_service_logs_every_answer(tmp_path: Path) -> None:
    project = iris_project(tmp_path)
    with serving(project, tmp_path) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        service.put("/split", {"ab_split_b": 0.5})
        arguments = {"requests": "600", "accuracy": "1=0.7,2=0.95", "shift": "petal_length:0.5"}
        message, report = drive(project, service.address, SERVICE_TOKEN, **arguments)
    assert "the log has all 600 of them, with the same values (and 0 requests of other" in message
    right = {row["version"]: row["right"] for row in report["arms"]}  # type: ignore[attr-defined]
    assert right == pytest.approx({"1": 0.7, "2": 0.95}, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("lose", "of 100 requests, 10 are missing, 0 are there twice, 0 have other values"),
        ("change", "of 100 requests, 0 are missing, 0 are there twice, 10 have other values"),
        ("fail", '10 requests were not answered: 503 {"error":"no"}'),
    ],
)
def test_a_service_that_loses_changes_or_fails_is_detected(
    tmp_path: Path, fault: str, message: str
) -> None:
    with small_service(tmp_path, fault) as url:
        printed, report = drive(new_project(tmp_path), url, requests="100", concurrency="4")
    assert message in printed
    assert (report["unanswered"] != {}) == (fault == "fail")


def copy_secret(folder: Path, other: Path) -> None:
    """Give another log the secret of this one, so that both assign the users to the same arms."""
    source, target = open_engine(log_of(folder)), open_engine(log_of(other))
    create_tables(target)
    with source.connect() as reading, target.begin() as writing:
        secret = reading.execute(select(assignment_secret.c.value)).scalar_one()
        writing.execute(insert(assignment_secret), {"id": 0, "value": secret})
    source.dispose()
    target.dispose()


@pytest.mark.slow
def test_a_log_is_sent_again_in_the_same_order_with_the_same_users_and_labels(
    tmp_path: Path,
) -> None:
    (tmp_path / "again").mkdir()
    project = new_project(tmp_path)
    with small_service(tmp_path) as url:
        drive(project, url, requests="150", labelled="0.7", rate="400", delay="0.2")
    copy_secret(tmp_path, tmp_path / "again")
    with small_service(tmp_path / "again") as url:
        message, _ = drive(project, url, data=log_of(tmp_path), requests="150", concurrency="1")
    assert "the log has all 150 of them" in message
    columns = ("user_id", "features", "label", "arm")
    before, after = (
        read_log(log_of(folder), columns=columns).frame for folder in (tmp_path, tmp_path / "again")
    )
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.slow
def test_the_step_says_if_it_has_no_access_to_the_log(tmp_path: Path) -> None:
    with small_service(tmp_path) as url:
        done = run_step(new_project(tmp_path), "traffic", url=url, requests="5")
    assert done.returncode == 0
    assert "the log was not checked. To check it, set RATCHET_ADMIN_TOKEN" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "http://127.0.0.1:9"}, "no service answers there"),
        ({"requests": "0"}, "requests=0: expected 1 or more"),
        ({"labelled": "2"}, "labelled=2.0: expected a share between 0 and 1"),
        ({"rate": "fast"}, "rate=fast: expected a number"),
        ({"data": "nowhere.csv"}, "nowhere.csv"),
        ({"data": "sqlite:///none.db"}, "none.db"),
    ],
)
def test_wrong_input_is_one_line_on_stderr(
    tmp_path: Path, arguments: dict[str, str], message: str
) -> None:
    done = run_step(new_project(tmp_path), "traffic", **arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
