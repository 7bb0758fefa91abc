"""The service under failures: processes killed, a database gone, a disk full.

RATCHET_SOAK_MINUTES sets how long versions are promoted and rolled back under load: 10 before a
release, 1 by default.
"""

import http.client
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.clusters import Cluster, new_cluster
from tests.loads import load
from tests.projects import environment, free_port, run
from tests.services import (
    FEATURES,
    TOKEN,
    Service,
    iris_project,
    move,
    serving,
    stop,
    train,
    wait_until_ready,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 20
SOAK_MINUTES = float(os.environ.get("RATCHET_SOAK_MINUTES", "1"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return iris_project(tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with new_cluster() as cluster:
        yield cluster


def logged(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        half = connection.execute(
            "select count(*) from predictions where prediction is null or not json_valid(features)"
        ).fetchone()
        assert half == (0,)
        return [one for (one,) in connection.execute("select request_id from predictions")]


def logged_in(url: str) -> list[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        request_ids = [
            one for (one,) in connection.execute(text("select request_id from predictions"))
        ]
    engine.dispose()
    return request_ids


def test_every_answer_is_in_the_log_once_whichever_process_is_killed(
    project: Path, tmp_path: Path
) -> None:
    """The service itself restarts a worker; a supervisor restarts the service."""
    answered: list[str] = []
    kills = 0
    while kills < KILLS:
        with serving(project, tmp_path) as service, load(service.address) as users:
            for _ in range(min(5, KILLS - kills)):
                before = len(users.answered)
                service.until(lambda before=before: len(users.answered) > before + 20)
                kills += 1
                if kills % 5 == 0:
                    stop(service.process)
                else:
                    for worker in service.workers():
                        worker.kill()
        answered += users.answered
        assert users.refused == []
    kept = logged(tmp_path / "predictions.db")
    assert len(answered) > 20 * KILLS
    assert len(kept) == len(set(kept))
    assert set(answered) <= set(kept)


def test_a_killed_follower_is_started_again(project: Path, tmp_path: Path) -> None:
    with serving(project, tmp_path, RATCHET_WORKERS="2") as service:
        service.until(lambda: len(service.followers()) == 1)
        killed = service.followers()[0]
        killed.kill()
        service.until(lambda: [one.pid for one in service.followers()] not in ([], [killed.pid]))
        assert len(service.followers()) == 1


def test_postgresql_may_stop_for_30_seconds_under_load(
    project: Path, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.create("stops")
    more = {"RATCHET_LOG_URL": url, "RATCHET_LOG_JOURNAL": str(tmp_path / "journal.db")}
    with serving(project, tmp_path, **more) as service:
        with load(service.address, users=2) as users:
            time.sleep(3)
            cluster.stop()
            before = len(users.answered)
            time.sleep(30)
            assert len(users.answered) > before + 20
            cluster.start()
            time.sleep(3)
        service.until(lambda: not service.get("/status")[1]["log"]["journalling"])
        assert users.refused == []
        assert users.broken == 0
    assert sorted(logged_in(url)) == sorted(users.answered)


def test_two_replicas_share_one_split_and_one_log(
    project: Path, tmp_path: Path, cluster: Cluster
) -> None:
    url = cluster.create("shared")
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    journals = [{"RATCHET_LOG_JOURNAL": str(folder / "journal.db")} for folder in folders]
    with (
        serving(project, folders[0], RATCHET_LOG_URL=url, **journals[0]) as one,
        serving(project, folders[1], RATCHET_LOG_URL=url, **journals[1]) as two,
    ):
        for service in (one, two):
            service.until(lambda service=service: service.get("/status")[1]["staging"])
        assert one.put("/split", {"ab_split_b": 1})[0] == 200
        two.until(lambda: two.get("/split")[1]["ab_split_b"] == 1, seconds=5)
        answers = [service.predict("the same user")[1] for service in (one, two)]
        assert [answer["variant"] for answer in answers] == ["B", "B"]
        assert one.get("/log.csv", TOKEN)[1] == two.get("/log.csv", TOKEN)[1]
        assert set(logged_in(url)) == {answer["request_id"] for answer in answers}


def test_a_request_that_cannot_be_logged_on_a_full_disk_is_not_answered(
    project: Path, tmp_path: Path
) -> None:
    """The log is on a small tmpfs, in a mount namespace that ends with the service."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    disk, port = tmp_path / "disk", free_port()
    disk.mkdir()
    settings = {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "RATCHET_LOG_URL": f"sqlite:///{disk}/predictions.db",
        "RATCHET_MODELS": str(tmp_path / "models"),
    }
    command = f'mount -t tmpfs -o size=3m tmpfs {disk} && exec bentoml serve --port {port} "$0"'
    namespace = ["unshare", "--map-root-user", "--mount"]
    with (tmp_path / "service.log").open("w") as log:
        process = subprocess.Popen(
            [*namespace, "sh", "-c", command, "bentos.service:service"],
            cwd=project,
            env=environment(**settings),
            stdout=log,
            stderr=log,
        )
    try:
        time.sleep(1)
        if "unshare failed" in (output := (tmp_path / "service.log").read_text()):
            pytest.skip(output)
        service = Service(f"http://127.0.0.1:{port}", process)
        wait_until_ready(service, tmp_path / "service.log")
        inside = Path(f"/proc/{process.pid}/root{disk}")
        (inside / "balloon").write_bytes(bytes(1_000_000))
        with load(service.address) as users:
            service.until(lambda: len(users.refused) > 20, seconds=120)
            assert {status for status, _ in users.refused} == {503}
            assert "full" in users.refused[0][1]
            (inside / "balloon").unlink()
            before = len(users.answered)
            service.until(lambda: len(users.answered) > before + 50)
        for name in ("predictions.db", "predictions.db-wal", "predictions.db-shm"):
            shutil.copy(inside / name, tmp_path / name)
        assert sorted(logged(tmp_path / "predictions.db")) == sorted(users.answered)
    finally:
        stop(process)


def test_no_input_makes_a_5xx_or_breaks_the_documented_contract(
    project: Path, tmp_path: Path
) -> None:
    rng = random.Random(7)
    valid = json.dumps({"user_id": "u", "features": FEATURES, "label": "setosa"}).encode()
    with serving(project, tmp_path) as service:
        workers = [one.pid for one in service.workers()]
        for path in ("/predict", "/feedback"):
            for _ in range(400):
                body = bytearray(valid)
                for _ in range(rng.randint(1, 4)):
                    at = rng.randrange(len(body))
                    body[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
                assert service.send(path, bytes(body))[0] < 500, bytes(body)
        command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
        command += [f"{service.address}/docs.json", "--checks", "all", "--seed", "7"]
        command += ["--header", f"Authorization: Bearer {TOKEN}", "--max-examples", "30"]
        done = run(command, tmp_path)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
        assert [one.pid for one in service.workers()] == workers
        assert service.predict("user-1")[0] == 200


def test_versions_come_and_go_under_load_without_a_failed_request(
    project: Path, tmp_path: Path
) -> None:
    def megabytes() -> float:
        return sum(one.memory_info().rss for one in service.workers()) / 1e6

    with serving(project, tmp_path) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        try:
            with load(service.address) as users:
                served, early, end = set[str](), 0.0, time.monotonic() + 60 * SOAK_MINUTES
                while time.monotonic() < end:
                    for prod, staging in (("2", ""), ("1", "2")):
                        move(project, prod=prod, staging=staging)
                        service.until(
                            lambda prod=prod: service.get("/status")[1]["prod"]["version"] == prod
                        )
                        served.add(service.predict("user-1")[1]["model_version"])
                    early = early or megabytes()
        finally:
            move(project, prod="1", staging="2")
        assert (users.refused, users.broken) == ([], 0)
        assert served >= {"1", "2"}
        assert megabytes() < 1.15 * early
    assert sorted(logged(tmp_path / "predictions.db"))[: len(users.answered)]
    assert set(users.answered) <= set(logged(tmp_path / "predictions.db"))


def test_a_version_that_does_not_work_is_refused_and_named(project: Path, tmp_path: Path) -> None:
    """The model's file is damaged in the store, like a file that was copied only partly."""
    train(project, "forest.yaml")
    broken = max((project / "mlruns").rglob("model.skops"), key=lambda file: file.stat().st_mtime)
    broken.write_bytes(broken.read_bytes()[:1000])
    with serving(project, tmp_path) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        try:
            move(project, prod="3")
            service.until(lambda: "3" in service.get("/status")[1]["refused"])
            assert "skops" in service.get("/status")[1]["refused"]["3"]
            assert service.predict("user-1")[1]["model_version"] in ("1", "2")
            assert service.get("/status")[1]["prod"]["version"] == "1"
        finally:
            move(project, prod="1", staging="2")


def test_a_service_that_is_stopped_answers_every_request_that_was_sent(
    project: Path, tmp_path: Path
) -> None:
    """Sixteen clients keep their connections and send requests until the service closes them."""
    body = json.dumps({"user_id": "u", "features": FEATURES})
    broken: list[BaseException] = []
    closed: list[int] = []

    def ask(port: int, answered: threading.Semaphore) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                connection.request("POST", "/predict", body, headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                broken.append(error)
                return
            answered.release()
            if answer.getheader("connection") == "close":
                closed.append(answer.status)
                return

    with serving(project, tmp_path) as service:
        answered, port = threading.Semaphore(0), int(service.address.rpartition(":")[2])
        clients = [threading.Thread(target=ask, args=(port, answered)) for _ in range(16)]
        for client in clients:
            client.start()
        for _ in range(100):
            assert answered.acquire(timeout=60)
        service.process.terminate()
        for client in clients:
            client.join(60)
        assert broken == []
        assert closed == [200] * 16


def test_nobody_signs_a_change_of_the_split_with_another_address(
    project: Path, tmp_path: Path
) -> None:
    with serving(project, tmp_path) as service:
        request = urllib.request.Request(
            f"{service.address}/split",
            b'{"ab_split_b": 0.5}',
            {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {TOKEN}",
                "X-Forwarded-For": "6.6.6.6",
            },
            method="PUT",
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["by"] == "PUT /split from 127.0.0.1"


def test_the_supervisor_looks_every_second_for_killed_workers(project: Path) -> None:
    code = """
import bentos.service
from bentoml._internal.utils.circus import create_standalone_arbiter
print(create_standalone_arbiter([]).check_delay)
"""
    done = run([sys.executable, "-c", code], project, BENTOML_DO_NOT_TRACK="True")
    assert (done.returncode, done.stdout) == (0, "1.0\n"), done.stderr


THREADS = """
import threading
import bentos.service
bentos.service.service.to_asgi()
import sklearn.ensemble, lightgbm
from threadpoolctl import threadpool_info
found = []
thread = threading.Thread(target=lambda: found.extend(threadpool_info()))
thread.start()
thread.join()
print(*[one["num_threads"] for one in found if one["user_api"] == "openmp"])
"""


def test_the_threads_of_a_worker_use_one_openmp_thread_each(project: Path) -> None:
    done = run([sys.executable, "-c", THREADS], project, BENTOML_DO_NOT_TRACK="True")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"1"}
