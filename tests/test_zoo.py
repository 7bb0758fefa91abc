"""Tables that were not chosen by hand: each works in the line, or one line says what is wrong.

Each day has another sample, so that every table is tested within a year. `python -m benchmarks.zoo`
tests all of them. To repeat a day: ZOO_SEED=739950 pytest tests/test_zoo.py
"""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.zoo_models import estimators
from benchmarks.zoo_outcome import Outcome
from benchmarks.zoo_tables import all_names, read_table, sample, with_target
from ratchet.data.split import load_split
from ratchet.errors import InputError
from ratchet.model.estimators import ALLOWED
from tests import warm
from tests.estimators import model
from tests.projects import REPOSITORY, environment
from tests.tables import settings

SEED = int(os.environ.get("ZOO_SEED", datetime.now(UTC).toordinal()))
TABLES, TABLES_LOADED = 3, 60


@pytest.mark.slow
@pytest.mark.parametrize("number", range(TABLES))
def test_each_table_works_or_gives_an_error_of_one_line(number: int):
    name = sample(TABLES, SEED)[number]
    estimator = estimators(len(ALLOWED))[(SEED * TABLES + number) % len(ALLOWED)]
    print(f"ZOO_SEED={SEED}: {name} with {estimator}")
    words = ["-m", "benchmarks.zoo", "--one", name, "--estimator", estimator, "--turn", str(SEED)]
    done = warm.run_python(words, REPOSITORY, environment())
    assert done.returncode == 0, done.stderr
    outcome = Outcome(**json.loads(done.stdout.splitlines()[-1]))
    assert outcome.ending in ("works", "refused"), outcome.reason
    assert "\n" not in outcome.reason
    assert [reason for reason in outcome.estimators.values() if "\n" in reason] == []
    assert outcome.disagreements == []


@pytest.mark.slow
def test_sixty_tables_are_split_and_fitted_or_refused_in_one_line(tmp_path: Path):
    print(f"ZOO_SEED={SEED}")
    for name in sample(TABLES_LOADED, SEED):
        frame, target = read_table(name, most_rows=300)
        frame.to_csv(tmp_path / "table.csv", index=False)
        with suppress(InputError):  # its message is always one line
            split = load_split(settings(tmp_path / "table.csv", target))
            fitted = model("GaussianNB", split.table).fit(*split.train)
            assert set(fitted.predict(split.holdout[0])) <= set(split.table.classes), name


def test_the_target_is_the_last_column_with_few_classes():
    frame = pd.DataFrame(
        {"a": range(20), "b": [0, 1] * 10, "c": ["x"] * 20, "d": [*[1] * 19, 2], "e": [0.5, 1] * 10}
    )
    assert with_target(frame)[1] == "b"


def test_a_table_without_classes_gets_two_by_the_median_of_its_last_numbers():
    frame, target = with_target(pd.DataFrame({"n": [1.5, 2.5, 3.5, None], "t": list("wxyz")}))
    assert target == "n"
    assert frame.n.tolist()[:3] == ["low", "low", "high"]
    assert frame.n.isna().tolist() == [False, False, False, True]


def test_there_are_more_than_five_hundred_tables_and_every_estimator_is_trained():
    assert len(all_names()) > 500
    assert set(estimators(len(all_names()))) == set(ALLOWED)
    assert sample(3, seed=1) == sample(3, seed=1) != sample(3, seed=2)
