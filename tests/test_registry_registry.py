import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from ratchet.errors import InputError
from ratchet.registry import lock
from ratchet.registry.registry import Registry
from tests.projects import run_python


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")  # a client alone reads models there
    yield Registry(MlflowClient(), "iris")
    mlflow.set_tracking_uri(None)


def registered(registry: Registry, count: int) -> None:
    client = registry._client
    experiment = client.create_experiment("test")
    for _ in range(count):
        run = client.create_run(experiment)
        model = client.create_logged_model(experiment, source_run_id=run.info.run_id)
        client.finalize_logged_model(model.model_id, "READY")
        registry.register(run.info.run_id, model.model_id, {"config": "baseline"})


def test_an_empty_registry_has_no_versions_no_aliases_and_no_ledger(registry: Registry):
    assert (registry.versions(), registry.aliases(), registry.ledger()) == ([], {}, [])


def test_versions_come_newest_first_with_their_tags(registry: Registry):
    registered(registry, 3)
    assert [version.number for version in registry.versions()] == ["3", "2", "1"]
    assert registry.version("2").tags["config"] == "baseline"


def test_a_version_is_found_by_alias_too(registry: Registry):
    registered(registry, 2)
    registry.move({"prod": "2"}, "test", "none")
    assert registry.version("prod").number == "2"


def test_the_error_for_an_unknown_version_says_what_to_do(registry: Registry):
    with pytest.raises(InputError, match=r"Model 'iris' has no version and no alias 'prod'"):
        registry.version("prod")


def test_a_move_writes_one_ledger_line_and_the_stages(registry: Registry):
    registered(registry, 2)
    registry.move({"prod": "1"}, "the first", "run-a")
    registry.move({"prod": "2", "previous": "1"}, "better", "run-b")
    first, second = registry.ledger()
    assert first.moves == {"prod": (None, "1")}
    assert second.moves == {"prod": ("1", "2"), "previous": (None, "1")}
    assert (second.reason, second.evidence, second.done) == ("better", "run-b", True)
    assert registry.aliases() == {"prod": "2", "previous": "1"}
    assert registry.version("2").tags["stage"] == "Production"
    assert registry.version("1").tags["stage"] == "Archived"


def test_an_alias_can_be_taken_away(registry: Registry):
    registered(registry, 1)
    registry.move({"staging": "1"}, "try", "none")
    registry.move({"staging": None}, "rejected", "none")
    assert registry.aliases() == {}
    assert registry.ledger()[1].moves == {"staging": ("1", None)}


KILLED_IN_A_MOVE = """
import os, signal
from mlflow import MlflowClient
from ratchet.registry.registry import Registry

class Dying(MlflowClient):
    calls = 0
    def _step(self):
        Dying.calls += 1
        if Dying.calls == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
    def set_registered_model_alias(self, *a): self._step(); super().set_registered_model_alias(*a)
    def set_model_version_tag(self, *a): self._step(); super().set_model_version_tag(*a)

store = "sqlite:///{folder}/mlflow.db"
Registry(Dying(store, store), "iris").move({{"prod": "2", "previous": "1"}}, "better", "run-b")
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_move_that_is_killed_is_finished_by_the_next_call(
    registry: Registry, tmp_path: Path, at: int
):
    registered(registry, 2)
    registry.move({"prod": "1"}, "the first", "run-a")
    script = KILLED_IN_A_MOVE.format(at=at, folder=tmp_path)
    died = run_python(["-c", script], tmp_path)
    assert died.returncode == -9
    assert [line.reason for line in registry.finish_moves()] == ["better"]
    assert registry.aliases() == {"prod": "2", "previous": "1"}
    assert registry.version("2").tags["stage"] == "Production"
    assert [line.done for line in registry.ledger()] == [True, True]
    assert registry.finish_moves() == []


def test_a_move_tags_versions_and_its_ledger_line_names_the_tags(registry: Registry):
    registered(registry, 1)
    registry.move({"staging": "1"}, "try", "none", {"1": {"decision": "tried"}})
    assert registry.version("1").tags["decision"] == "tried"
    assert registry.ledger()[0].tags == {"1": {"decision": "tried"}}


def test_a_version_between_two_aliases_has_both(registry: Registry):
    """This is what another process sees in the middle of a move."""
    registered(registry, 1)
    registry._client.set_registered_model_alias("iris", "staging", "1")
    registry._client.set_registered_model_alias("iris", "prod", "1")
    assert registry.holder("prod") == registry.holder("staging") == registry.version("1")


def test_a_move_waits_for_the_registry_lock(registry: Registry):
    registered(registry, 2)
    order = []

    def later() -> None:
        mlflow.set_tracking_uri(registry._client.tracking_uri)
        registry.move({"prod": "2"}, "second", "none")
        order.append("moved")

    with lock.registry_lock(registry._client, "iris"):
        waiting = threading.Thread(target=later)
        waiting.start()
        waiting.join(timeout=1)
        order.append("left")
    waiting.join(timeout=60)
    assert order == ["left", "moved"]
    assert registry.aliases() == {"prod": "2"}


@pytest.mark.parametrize(("seconds_ago", "taken_over"), [(61, True), (5, False)])
def test_the_lock_of_another_machine_is_taken_over_after_a_minute(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, seconds_ago: int, taken_over: bool
):
    registered(registry, 1)
    monkeypatch.setattr(lock, "SECONDS_TO_WAIT", 0.5)
    tags = {"process": "elsewhere 7 0.0", "time": str(time.time() - seconds_ago), "lock_id": "0a"}
    registry._client.create_registered_model("iris.move", tags)
    if taken_over:
        registry.move({"prod": "1"}, "at last", "none")
        assert registry.aliases() == {"prod": "1"}
        assert [one.name for one in registry._client.search_registered_models()] == ["iris"]
    else:
        with pytest.raises(InputError, match="another process is moving the aliases"):
            registry.move({"prod": "1"}, "too early", "none")
        assert registry.aliases() == {}
