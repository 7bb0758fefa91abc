"""Repeated rows count as little evidence, and are not drift by themselves."""

import numpy as np
import pandas as pd
import pyarrow
import pytest

from ratchet.columns import Kind
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.dependence import dependence
from ratchet.profile.reading import read_current, read_training
from ratchet.settings import DataSettings, DriftSettings
from ratchet.statistics.repeats import MIN_WORTH, distinct_rows, worth

SETTINGS = DataSettings(source="customers.csv", target="outcome")
LIMITS = DriftSettings()
KINDS: dict[str, Kind] = dict.fromkeys("abcd", "numeric")


def rows(seed: int, number: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(number, 4))
    return pd.DataFrame(values, columns=["a", "b", "c", "d"]).round(1)


def again(seed: int, number: int, of: int) -> pd.DataFrame:
    places = np.random.default_rng(seed).integers(0, of, number)
    return rows(seed, of).iloc[places]


def table(frame: pd.DataFrame) -> pyarrow.Table:
    return pyarrow.Table.from_pandas(frame, preserve_index=False)


def check(reference: pd.DataFrame, current: pd.DataFrame) -> Drift:
    before = read_training(reference, np.resize(["yes", "no"], len(reference)), KINDS)
    now, _ = read_current(current, SETTINGS, before.profile)
    share = worth(before.sample, now.sample, now.profile.rows)
    together = dependence(before.sample, now.sample)
    return compare(before.profile, now.profile, together, LIMITS, share)


def test_each_of_many_different_rows_counts():
    assert worth(table(rows(0, 500)), table(rows(1, 4000)), 1_000_000) > 0.5
    assert worth(table(rows(0, 500)), table(rows(1, 500)), 500) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("number", [500, 100_000])
def test_thirty_rows_that_are_sent_repeatedly_count_as_thirty(number: int):
    share = worth(table(rows(0, 500)), table(again(1, min(number, 4000), of=30)), number)
    assert 28 <= share * number <= 35


def test_a_feed_that_repeats_one_row_is_drift():
    stuck = again(1, 500, of=1)
    assert worth(table(rows(0, 500)), table(stuck), 500) == MIN_WORTH / 500
    assert check(rows(0, 500), stuck).finding == "drifted"


def test_rows_that_are_equal_by_chance_all_count():
    words = pd.DataFrame({"a": np.resize(["x", "y"], 500), "b": np.resize(["x", "y", "z"], 500)})
    assert worth(table(words), table(words.iloc[:1].sample(500, replace=True)), 500) == 1.0


def test_distinct_rows_keep_their_order_and_missing_values_are_equal():
    frame = pd.DataFrame({"n": [2.0, np.nan, 2.0, 1.0, np.nan], "w": ["b", "a", "b", "a", "a"]})
    assert distinct_rows(table(frame)).to_pandas()["w"].tolist() == ["b", "a", "a"]


@pytest.mark.slow
def test_repeating_users_are_not_drift_but_their_shift_is():
    reference = rows(1000, 400)
    results = [check(reference, again(seed, 500, of=40)) for seed in range(40)]
    assert sum(one.finding == "drifted" for one in results) <= 2
    shifted = again(0, 500, of=40).assign(a=lambda frame: frame["a"] + 2)
    assert check(reference, shifted).drifted == ["a"]
