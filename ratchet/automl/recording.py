"""A candidate on record: a run inside the search's, with every fold."""

import time

from ratchet.automl.candidates import Candidate
from ratchet.record.tracking import nested_run
from ratchet.training.spec import ModelSpec


def record(candidate: Candidate) -> None:
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
    tags = {"stage": candidate.stage, "candidate": str(candidate.number)}
    with nested_run(candidate.name, tags) as run:
        mlflow.MlflowClient().log_batch(
            run.info.run_id,
            [Metric(name, value, now, 0) for name, value in metrics.items()] + folds,
            [Param(name, str(value)) for name, value in params.items()],
        )
