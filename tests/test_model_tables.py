"""All allowed estimators, trained, saved and loaded on tables of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from threadpoolctl import threadpool_limits

from ratchet.data.dataset import Table, load
from ratchet.model import model_file
from ratchet.model.estimators import ALLOWED
from tests.estimators import NEEDED, TWO_CLASSES_ONLY, model
from tests.tables import mixed_frame, settings, write

CITIES = [f"city {number:03d}" for number in range(150)]
NAMES = ["self", "index", "class", "Straße [m²]", "a,b;c", "$x_1", "target "]


def strings(rows: int, classes: int) -> pd.DataFrame:
    """Return text columns that are one-hot encoded as a sparse matrix."""
    rng = np.random.default_rng(1)
    code = np.arange(rows) % classes
    frame = pd.DataFrame({"city": rng.choice(CITIES, rows), "street": rng.choice(CITIES, rows)})
    frame["size"] = np.array(["S", "M", "L"])[(code + rng.integers(0, 2, rows)) % 3]
    frame.loc[rng.random(rows) < 0.2, "city"] = None
    return frame.assign(outcome=[f"class {one:02d}" for one in code])


def booleans_and_dates(rows: int, classes: int) -> pd.DataFrame:
    """Return booleans and dates, with and without missing values, and a target of codes."""
    frame = mixed_frame(rows, classes)[["member", "consent", "joined", "last_seen"]]
    return frame.assign(outcome=np.arange(rows) % classes)


def numbers(rows: int, classes: int) -> pd.DataFrame:
    """Return numbers with missing values, and a column in which all values are equal."""
    rng = np.random.default_rng(2)
    code = np.arange(rows) % classes
    frame = pd.DataFrame(rng.normal(code[:, None], 1, (rows, 3)), columns=["x", "y", "z"])
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    return frame.assign(constant=1.5, outcome=code == 0 if classes == 2 else code)


def hard_names(rows: int, classes: int) -> pd.DataFrame:
    frame = mixed_frame(rows, classes).drop(columns=["visits", "branch"])
    return frame.rename(columns=dict(zip(frame.columns, NAMES, strict=False)))


TABLES: dict[str, tuple[Callable[[int, int], pd.DataFrame], int, int]] = {
    "strings": (strings, 120, 2),
    "strings, 20 classes": (strings, 400, 20),
    "booleans and dates": (booleans_and_dates, 120, 3),
    "numbers": (numbers, 120, 2),
    "mixed, 20 classes": (mixed_frame, 400, 20),
    "hard names": (hard_names, 120, 2),
}
QUICK = "strings"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    folder = tmp_path_factory.mktemp("tables")
    by_name = {}
    for number, (name, (frame, rows, classes)) in enumerate(TABLES.items()):
        path = write(frame(rows, classes), folder / f"{number}.parquet")
        by_name[name] = load(settings(path))
    return by_name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", sorted(ALLOWED))
@pytest.mark.parametrize(
    "name", [QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in TABLES if one != QUICK)]
)
def test_a_loaded_model_answers_as_the_trained_one(
    estimator: str, name: str, tables: dict[str, Table], tmp_path: Path
) -> None:
    table = tables[name]
    if estimator in TWO_CLASSES_ONLY and len(table.classes) > 2:
        pytest.skip("for two classes only")
    with threadpool_limits(1):
        trained: Any = model(estimator, table, **NEEDED.get(estimator, {}))
        trained.fit(table.features, table.target)
        skops.io.dump(trained, tmp_path / model_file.FILE)
        loaded: Any = model_file.load(tmp_path)
        expected = trained.predict(table.features)
        assert set(expected) <= set(table.classes)
        np.testing.assert_array_equal(loaded.predict(table.features), expected)
        if hasattr(trained, "predict_proba"):
            before = trained.predict_proba(table.features)
            np.testing.assert_array_equal(loaded.predict_proba(table.features), before)
