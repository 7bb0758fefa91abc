"""A served version, from a realistic table to an answer in JSON."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.served_model import ServedModel
from tests.projects import new_project, run_step


def passengers(rows: int = 300) -> pd.DataFrame:
    """Return a table like the Titanic's: gaps in every column, and names that need quoting."""
    rng = np.random.default_rng(7)
    born = pd.Timestamp("1880-01-01") + pd.to_timedelta(rng.integers(0, 9000, rows), "D")
    frame = pd.DataFrame(
        {
            "sex": rng.choice(["male", "female"], rows),
            "age": rng.normal(30, 12, rows).round(1),
            "sib sp.": rng.integers(0, 4, rows),
            "fare[£]": rng.gamma(2, 20, rows).round(2),
            "adult_male": rng.choice(["true", "false"], rows),
            "date of birth": born.strftime("%Y-%m-%d"),
            "self": rng.integers(0, 99, rows),
            "%s {0}": rng.choice(["x%s", "{y}"], rows),
        }
    )
    frame = frame.mask(rng.random(frame.shape) < 0.3)
    return frame.assign(survived=rng.integers(0, 2, rows))


@pytest.mark.slow
def test_the_example_of_a_table_with_gaps_and_odd_names_is_answered(tmp_path: Path) -> None:
    data = {"source": "passengers.csv", "target": "survived"}
    project = new_project(tmp_path / "project", {"model": "titanic", "data": data})
    passengers().to_csv(project / "passengers.csv", index=False)
    done = run_step(project, "train", config="configs/models/baseline.yaml")
    assert done.returncode == 0, done.stderr
    (example,) = (project / "mlruns").rglob("input_example.json")
    assert "NaN" in example.read_text()
    copy_from_mlflow(example.parent, "titanic", "1", "baseline", tmp_path / "model")
    model = ServedModel(tmp_path / "model")
    names = [column.name for column in model.card.columns]
    rows = [
        {"user_id": "u", "features": dict(zip(names, row, strict=True))}
        for row in model.card.example
    ]
    request, _ = model.inputs.read(json.dumps(rows, allow_nan=False).encode())
    assert list(request.values) == model.example()
    answers = model.answers(request.values)
    assert {json.loads(prediction) for prediction, _ in answers} <= {0, 1}
    assert model.path == "direct, linear"
