from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from ratchet.registry.git_tags import prod_tags
from ratchet.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    client = MlflowClient()
    iris = Registry(client, "iris")
    experiment = client.create_experiment("test")
    for number in ("1", "2"):
        run = client.create_run(experiment)
        client.log_metric(run.info.run_id, "accuracy", 0.9)
        model = client.create_logged_model(experiment, source_run_id=run.info.run_id)
        client.finalize_logged_model(model.model_id, "READY")
        tags = {"config": "baseline", "commit": number * 40}
        iris.register(run.info.run_id, model.model_id, tags)
    yield iris
    mlflow.set_tracking_uri(None)


def test_every_time_in_production_is_a_tag_on_the_commit_that_trained_it(registry: Registry):
    registry.move({"prod": "1"}, "the first", "run-a")
    registry.move({"staging": "2"}, "try", "run-b")
    registry.move({"prod": "2", "previous": "1", "staging": None}, "better", "run-c")
    registry.move({"prod": "1", "previous": None}, "rollback: it failed", "run-d")
    tags = prod_tags(registry, registry._client)
    assert [(tag.name, tag.commit[0]) for tag in tags] == [
        ("prod/iris/v1", "1"),
        ("prod/iris/v2", "2"),
        ("prod/iris/v1-2", "1"),
    ]
    assert "v1 (baseline); before it: v2.\n\nrollback: it failed" in tags[2].body
    assert '"accuracy": 0.9' in tags[2].body


def test_a_version_without_a_commit_has_no_tag(registry: Registry):
    registry.tag(registry.version("1"), commit="none")
    registry.move({"prod": "1"}, "the first", "run-a")
    assert prod_tags(registry, registry._client) == []
