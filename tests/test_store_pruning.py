"""Deletion of artifacts that are no longer needed; runs, metrics and versions stay."""

import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from ratchet.registry.registry import Registry
from ratchet.store.pruning import prune

A_DAY = 24 * 3600 * 1000


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Create seven judged versions, the oldest ten days old, the newest four days."""
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    registry = Registry(MlflowClient(), "iris")
    for age in range(10, 3, -1):
        start = int(time.time() * 1000) - age * A_DAY
        run = registry._client.create_run("0", start_time=start)
        model = registry._client.create_logged_model("0", source_run_id=run.info.run_id)
        registry._client.finalize_logged_model(model.model_id, "READY")
        for location in (run.info.artifact_uri, model.artifact_location):
            Path(location).mkdir(parents=True)
            (Path(location) / "model.skops").write_bytes(b"0" * 1_000_000)
        registry.register(run.info.run_id, model.model_id, {"verdict": "passed"})
    yield registry
    mlflow.set_tracking_uri(None)


def stored(registry: Registry) -> list[str]:
    """Return the numbers of the versions whose model is still stored."""
    return [
        version.number
        for version in registry.versions()
        if (Path(registry.location(version)) / "model.skops").exists()
    ]


def test_old_versions_outside_the_ledger_lose_their_artifacts_but_stay_registered(
    registry: Registry,
):
    registry.move({"prod": "1"}, "first", "none")
    registry.move({"prod": "2", "previous": None}, "better", "none")
    registry.move({"staging": "3"}, "try", "none")
    pruned = prune(registry, registry._client, keep=2, days=5.5)
    assert pruned.versions == ["5", "4"]  # 7 and 6 are the newest, 3 to 1 are in the ledger
    assert pruned.megabytes == 4.0
    assert stored(registry) == ["7", "6", "3", "2", "1"]
    assert len(registry.versions()) == 7
    assert "pruned" in registry.version("4").tags


def test_young_versions_and_those_that_wait_for_the_gate_keep_their_artifacts(
    registry: Registry,
):
    registry._client.delete_model_version_tag("iris", "1", "verdict")
    assert prune(registry, registry._client, keep=0, days=8.5).versions == ["2"]


def test_a_version_is_pruned_once(registry: Registry):
    assert prune(registry, registry._client, keep=6, days=1).versions == ["1"]
    assert prune(registry, registry._client, keep=6, days=1).versions == []
