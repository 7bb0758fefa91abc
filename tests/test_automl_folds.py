"""The folds of the search: PyCaret trains and tests on the rows that the project's folds say."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet.automl.agreement import sample_of
from ratchet.automl.request import folds_of, write_request
from ratchet.data.split import load_split
from ratchet.environments import python_of
from ratchet.settings import Settings
from tests.projects import REPOSITORY

RULES = {
    "time": {"by": "time", "column": "day", "gap": "2d"},
    "group": {"by": "group", "column": "customer"},
}
# Runs in PyCaret's environment; the preparation sees the rows of each fold before it changes them.
RECORD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import search
from sklearn.compose import ColumnTransformer
fit, apply, fitted, tested = ColumnTransformer.fit_transform, ColumnTransformer.transform, [], []
def fit_transform(self, X, y=None, **more):
    fitted.append(X["f0"].astype(int).tolist())
    return fit(self, X, y, **more)
def transform(self, X, **more):
    tested.append(X["f0"].astype(int).tolist())
    return apply(self, X, **more)
ColumnTransformer.fit_transform, ColumnTransformer.transform = fit_transform, transform
for file in sys.argv[2:]:
    experiment = search.set_up(json.load(open(file)))
    fitted.clear(), tested.clear()
    experiment.compare_models(include=["nb"], sort="accuracy", verbose=False)
    print(json.dumps({"fitted": fitted, "tested": tested}))
"""


def settings_of(folder: Path, rule: dict[str, Any]) -> Settings:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "row": np.arange(240),
            "day": rng.permutation(pd.date_range("2026-01-01", periods=240)),
            "customer": rng.permutation(np.arange(240) % 30),
            "y": np.where(rng.random(240) < 0.5, "no", "yes"),
        }
    )
    frame.to_parquet(folder / "rows.parquet")
    data = {"source": str(folder / "rows.parquet"), "target": "y", "split": rule}
    automl = {"folds": 3}
    return Settings.model_validate({"model": "m", "data": data, "automl": automl})


@pytest.mark.slow
def test_pycaret_trains_and_tests_on_the_rows_of_the_projects_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    expected, files = [], []
    for name, rule in RULES.items():
        folder = tmp_path / name
        folder.mkdir()
        settings = settings_of(folder, rule)
        split = load_split(settings.data)
        request = write_request(split, settings, 1, folder)
        request["candidates"] = str(folder / "candidates.jsonl")
        files.append(folder / "request.json")
        files[-1].write_text(json.dumps(request))
        rows = split.train[0]["row"].to_numpy().astype(int)[:-1]  # PyCaret holds the last one back
        expected.append(
            [
                [set(rows[side[side < len(rows)]]) for side in fold]
                for fold in folds_of(split, settings) or []
            ]
        )
    done = subprocess.run(
        [str(python_of(Path("requirements-automl.txt"))), "-c", RECORD]
        + [str(REPOSITORY / "ratchet/automl"), *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for line, folds in zip(lines, expected, strict=True):
        assert len(folds) == 3
        fitted = [set(rows) for rows in line["fitted"]]
        tested = [set(rows) for rows in line["tested"]]
        assert fitted[:3] == [train for train, _ in folds]
        assert all(test in tested for _, test in folds)


def test_a_random_split_leaves_the_folds_to_pycaret(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {"by": "random"})
    split = load_split(settings.data)
    assert folds_of(split, settings) is None
    assert write_request(split, settings, 1, tmp_path)["fold_rows"] is None


def test_the_sample_of_the_agreement_is_of_the_newest_training_rows(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, RULES["time"])
    split = load_split(settings.data)
    sample = sample_of(split, folds_of(split, settings), seed=1)
    days = split.train[0]["day"].sort_values()
    assert len(sample) == 48
    assert sample["day"].min() >= days.iloc[-48]
