"""The MLflow runs of a search: one run for the search, and a nested run for each candidate."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from ratchet.automl.candidates import Candidate
from ratchet.data.split import Split
from ratchet.model.spec import ModelSpec
from ratchet.registry.tracking import nested_run
from ratchet.settings import Settings


def search_tags(split: Split, lock: Path) -> dict[str, str]:
    lock_sha256 = hashlib.sha256(lock.read_bytes()).hexdigest()
    return {"data_sha256": split.sha256, "automl_lock_sha256": lock_sha256}


def record_request(settings: Settings, tags: Mapping[str, str]) -> None:
    import mlflow

    params = {"metric": settings.metric, "seed": settings.data.seed}
    mlflow.log_params(params | settings.automl.model_dump())
    mlflow.set_tags(dict(tags))


def record(candidate: Candidate, tags: Mapping[str, str]) -> None:
    """Record the candidate as a run that is nested in the active run."""
    import mlflow
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    params = ModelSpec(candidate.name, candidate.estimator, candidate.params).flat_params
    metrics = candidate.scores | {"seconds": candidate.seconds}
    folds = [
        Metric(f"fold_{name}", value, now, number)
        for number, fold in enumerate(candidate.folds)
        for name, value in fold.items()
    ]
    own = {"method": candidate.method, "candidate": str(candidate.number)}
    own |= {"worker": candidate.worker} if candidate.worker else {}
    with nested_run(candidate.name, {**tags, **own}) as run:
        mlflow.MlflowClient().log_batch(
            run.info.run_id,
            [Metric(name, value, now, 0) for name, value in metrics.items()] + folds,
            [Param(name, str(value)) for name, value in params.items()],
        )
