"""Prediction logs of two versions whose accuracies are known, made with a seed."""

import numpy as np
import pandas as pd

from ratchet.predictions.record import Record, json_text, new_request_id

START = 1_790_000_000.0  # September 2026


def rows_of_test(
    users: int = 2000,
    requests: int = 1,
    prod: float = 0.90,
    staging: float = 0.95,
    split: float = 0.5,
    seed: int = 0,
    seconds_apart: float = 1.0,
) -> pd.DataFrame:
    """Return rows like `read_log`: labels at once, classes yes and no, one arm per user."""
    rng = np.random.default_rng(seed)
    user = np.tile(np.arange(users), requests)
    arm_b = (rng.random(users) < split)[user]
    n = len(user)
    truth = rng.random(n) < 0.5
    right = rng.random(n) < np.where(arm_b, staging, prod)
    time = START + seconds_apart * np.arange(n)
    words = np.array(["no", "yes"], dtype=object)
    arm = np.where(arm_b, "B", "A")
    return pd.DataFrame(
        {
            "request_id": [f"r{i:07d}" for i in range(n)],
            "time": time,
            "user_id": [f"u{one}" for one in user],
            "arm": arm,
            "assigned_arm": arm,
            "model_version": np.where(arm_b, "2", "1"),
            "split": split,
            "prediction": words[(truth == right).astype(int)],
            "label": words[truth.astype(int)],
            "label_time": time,
            "latency_ms": rng.gamma(4, 1, n),
            "error": None,
            "fallback": False,
            "shadow_version": None,
            "shadow_prediction": None,
        }
    )


def records(
    rows: pd.DataFrame, model: str = "iris", prod: str = "1", staging: str = "2"
) -> list[Record]:
    """Return the rows as records, as a service would have written them."""
    return [
        Record(
            request_id=new_request_id(row.time),
            time=row.time,
            user_id=row.user_id,
            arm=row.arm,
            model=model,
            model_version=staging if row.arm == "B" else prod,
            prod_version=prod,
            staging_version=staging,
            assigned_arm=row.assigned_arm,
            split=row.split,
            features=json_text({"region": "north" if row.Index % 2 else "south"}),
            prediction=json_text(row.prediction),
            probabilities=None,
            latency_ms=row.latency_ms,
            label=json_text(row.label),
            label_time=row.label_time,
        )
        for row in rows.itertuples()
    ]
