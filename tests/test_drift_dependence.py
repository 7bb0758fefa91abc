"""The test for changes of dependence between features; a shift of one feature is not a change."""

import numpy as np
import pyarrow
import pytest

from ratchet.drift.dependence import dependence


def sample(seed, correlation=0.6, rows=1000, features=6):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(features, rows))
    values[1] = correlation * values[0] + np.sqrt(1 - correlation**2) * values[1]
    return {f"n{place}": column for place, column in enumerate(values)}


def compared(before, now):
    return dependence(pyarrow.table(before), pyarrow.table(now))


def test_a_correlation_that_weakens_is_found_and_its_pair_named():
    result = compared(sample(0), sample(1, correlation=0.0))
    assert result.p_value < 1e-4
    assert result.auc > 0.55
    assert result.pairs[0] == ("n0", "n1")


@pytest.mark.slow
def test_the_same_dependence_alarms_in_at_most_alpha_of_checks():
    p_values = [compared(sample(2 * i), sample(2 * i + 1)).p_value for i in range(200)]
    assert sum(p < 0.01 for p in p_values) <= 3


def test_rows_that_are_sent_repeatedly_alarm_no_more_often():
    """If the 500 requests of 30 rows counted 500 times, most of these checks would alarm."""

    def again(seed):
        place = np.random.default_rng(seed).integers(0, 30, 500)
        return {name: values[place] for name, values in sample(2 * seed, rows=30).items()}

    p_values = [compared(sample(2 * i + 1), again(i)).p_value for i in range(200)]
    assert sum(p < 0.01 for p in p_values) <= 6


def test_rows_of_few_categories_are_equal_by_chance_and_all_count():
    def words(seed, together):
        rng = np.random.default_rng(seed)
        first, other = rng.integers(0, 2, (2, 2000))
        second = np.where(rng.random(2000) < 0.3, other, first) if together else other
        return {"a": np.take(["x", "y"], first), "b": np.take(["x", "y"], second)}

    assert compared(words(0, True), words(1, True)).p_value > 0.01
    assert compared(words(0, True), words(1, False)).p_value < 1e-6


@pytest.mark.parametrize("change", [lambda x: x + 5, lambda x: x * 100, np.exp, lambda x: x**3])
def test_a_shift_of_one_feature_is_not_a_change_of_dependence(change):
    now = sample(1)
    now["n0"] = change(now["n0"])
    same = compared(sample(0), sample(1))
    assert compared(sample(0), now).p_value == pytest.approx(same.p_value)


def test_a_category_that_no_longer_follows_a_number_is_found():
    def half(seed, together):
        rng = np.random.default_rng(seed)
        number = rng.normal(size=2000)
        leads = number if together else rng.normal(size=2000)
        return {"number": number, "word": np.where(leads > 0, "high", "low").tolist()}

    assert compared(half(0, True), half(1, True)).p_value > 0.01
    assert compared(half(0, True), half(1, False)).p_value < 1e-6


def test_missing_values_constants_and_a_single_column_have_no_dependence():
    gaps = sample(0, rows=500)
    gaps["n0"] = np.full(500, np.nan)
    gaps["n1"] = np.full(500, 3.0)
    gaps["n2"][::2] = np.nan
    assert 0 <= compared(gaps, gaps).p_value <= 1
    alone = {"n0": np.arange(100.0)}
    assert compared(alone, alone).p_value == 1.0


def test_few_rows_have_a_p_value_of_1():
    assert compared(sample(0), sample(1, rows=15)).p_value == 1.0


def with_missing(rng, rows):
    values = rng.normal(size=(6, rows))
    values[rng.random((6, rows)) < 0.5] = np.nan
    return {f"n{place}": column for place, column in enumerate(values)}


def eight_categories(rng, rows):
    words = np.array(["a", "b", "c"])
    return {f"c{place}": words[rng.integers(0, 3, rows)].tolist() for place in range(8)}


def a_number_with_categories(rng, rows):
    number = rng.normal(size=rows)
    high = np.where(number + rng.normal(size=rows) > 0, "high", "low")
    sign = np.where(number > 0, "plus", "minus")
    return {"number": number, "level": high.tolist(), "sign": sign.tolist()}


@pytest.mark.parametrize("table", [with_missing, eight_categories, a_number_with_categories])
def test_tied_values_alarm_in_at_most_alpha_of_checks(table):
    """A rank test would take the constant between the centred halves for a shift: 13 to 44 %."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        alarms += compared(table(rng, 2000), table(rng, 1000)).p_value < 0.005
    assert alarms <= 3
