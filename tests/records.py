"""Records as a service writes them."""

import time

from ratchet.predictions.assignment import Arm, arms_of
from ratchet.predictions.record import Record, json_text, new_request_id


def arm_of(user: str, salt: str | None, split: float) -> Arm:
    return arms_of([user], salt, split)[0]


def a_record(user: str = "user-1", at: float | None = None, **more: object) -> Record:
    at = time.time() if at is None else at
    usual: dict[str, object] = {
        "request_id": new_request_id(at),
        "time": at,
        "user_id": user,
        "arm": "A",
        "model": "iris",
        "model_version": "1",
        "prod_version": "1",
        "staging_version": "2",
        "assigned_arm": "A",
        "split": 0.2,
        "features": json_text({"sepal_length": 5.1, "sepal_width": 3.5}),
        "prediction": '"setosa"',
        "probabilities": json_text({"setosa": 0.9, "virginica": 0.1}),
        "latency_ms": 1.25,
    }
    return Record(**(usual | more))  # type: ignore[arg-type]
