"""The rule: what it calls drift, what not, and what too little to say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.drift.comparison import Pair, compare
from ratchet.drift.dependence import Dependence
from ratchet.drift.pictures import picture
from ratchet.profile.bins import category_bins
from ratchet.profile.profile import CategoryCounts, Profile
from ratchet.settings import DriftSettings
from ratchet.statistics.distances import population_stability_index, psi_p_value
from ratchet.statistics.holm import holm
from tests.profiles import answered, profile_of

LIMITS = DriftSettings()
numbers = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70).map(float),
    st.sampled_from([0.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan")]),
)
days = st.datetimes(pd.Timestamp(1700, 1, 1), pd.Timestamp(2200, 1, 1))


def frame(seed=0, rows=4000, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(40 + 10 * shift, 10, rows),
            "visits": rng.poisson(3, rows),
            "city": rng.choice(["Oslo", "Bergen", "Bodø"], rows, p=[0.6, 0.3, 0.1]),
        }
    )


def drift_of(reference, current, limits=LIMITS):
    before = profile_of(reference)
    return compare(before, profile_of(current, before), None, limits)


def test_the_same_population_is_stable():
    found = drift_of(frame(0), frame(1))
    assert found.finding == "stable"
    assert found.reason == "no change beyond the limits"
    assert found.rows == Pair(4000, 4000)


def test_a_shift_is_drift_in_that_feature_alone():
    found = drift_of(frame(0), frame(1, shift=0.4))
    assert found.finding == "drifted"
    assert found.drifted == ["age"]
    assert found.reason == "changed: age"
    assert found.features["age"].psi == pytest.approx(0.16, abs=0.03)
    assert found.features["age"].ks == pytest.approx(0.158, abs=0.02)


def test_a_shift_too_small_to_matter_is_no_drift_however_many_rows():
    found = drift_of(frame(0, 200_000), frame(1, 200_000, shift=0.05))
    assert found.finding == "stable"
    assert found.features["age"].p_value == 1.0


def test_other_shares_of_categories_are_drift():
    now = frame(1)
    now["city"] = np.where(now["city"] == "Oslo", "Bergen", now["city"])
    assert drift_of(frame(0), now).drifted == ["city"]


def test_a_category_never_seen_before_is_drift():
    now = frame(1)
    now.loc[:800, "city"] = "Tromsø"
    found = drift_of(frame(0), now)
    assert found.drifted == ["city"]
    assert found.features["city"].unseen == pytest.approx(801 / 4000)


def test_missing_values_are_drift_where_there_were_none():
    now = frame(1)
    now.loc[:800, "age"] = None
    found = drift_of(frame(0), now)
    assert found.drifted == ["age"]
    assert found.features["age"].missing == Pair(0.0, 801 / 4000)
    assert found.features["age"].ks == pytest.approx(0.0, abs=0.03)


def test_a_column_that_is_empty_now_is_drift():
    now = frame(1).assign(age=np.nan)
    found = drift_of(frame(0), now)
    assert found.drifted == ["age"]
    assert found.features["age"].ks is None


def test_too_few_rows_are_no_verdict():
    found = drift_of(frame(0), frame(1, rows=99, shift=3.0))
    assert found.finding == "insufficient"
    assert "99 rows against 4,000 of the reference; a verdict takes 100" in found.reason
    assert found.features["age"].p_value is None
    assert drift_of(frame(0), frame(1, rows=100, shift=3.0)).finding == "drifted"


def test_features_that_do_not_count_are_shown_and_never_decide():
    limits = DriftSettings(features=("visits",))
    found = drift_of(frame(0), frame(1, shift=1.0), limits)
    assert found.finding == "stable"
    assert found.features["age"].psi > 0.5


def test_worse_accuracy_is_drift_and_better_is_none():
    before = answered(right=900, wrong=100)
    worse = compare(before, answered(700, 300, like=before), None, LIMITS)
    assert worse.finding == "drifted"
    assert worse.reason == "changed: accuracy, from 0.900 to 0.700"
    assert worse.accuracy == Pair(0.9, 0.7)
    better = compare(before, answered(1000, 0, like=before), None, LIMITS)
    assert better.finding == "stable"
    assert better.accuracy == Pair(0.9, 1.0)


def test_labels_that_have_not_come_yet_are_no_drift():
    before = answered(right=900, wrong=100)
    found = compare(before, answered(180, 20, unlabelled=800, like=before), None, LIMITS)
    assert found.finding == "stable"
    assert found.accuracy == Pair(0.9, 0.9)


def test_a_model_never_wrong_in_its_holdout_can_still_be_seen_to_fail():
    before = answered(right=500, wrong=0)
    found = compare(before, answered(400, 100, like=before), None, LIMITS)
    assert found.accuracy == Pair(1.0, 0.8)
    assert found.answers["right"].drifted


def test_a_change_of_dependence_alone_is_drift():
    before = profile_of(frame(0))
    now = profile_of(frame(1), before)
    together = Dependence(0.6, 0.004, (("age", "visits"),))
    found = compare(before, now, together, LIMITS)
    assert found.reason == "changed: how features go together (age with visits)"
    assert compare(before, now, Dependence(0.55, 0.006, ()), LIMITS).finding == "stable"


def test_psi_with_an_empty_bin_takes_half_a_row_everywhere():
    before, now = np.array([10, 20, 0]), np.array([12, 8, 4])
    p, q = (np.array([10.5, 20.5, 0.5]) / 31.5, np.array([12.5, 8.5, 4.5]) / 25.5)
    expected = float(np.sum((q - p) * np.log(q / p)))
    assert population_stability_index(before, now) == pytest.approx(expected, abs=1e-12)


def test_p_values_of_psi_are_uniform_where_nothing_changed_and_nothing_is_tolerated():
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    found = [
        psi_p_value(rng.multinomial(20_000, shares), rng.multinomial(2000, shares), tau=0.0)
        for _ in range(2000)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.012)
    assert np.mean(np.array(found) < 0.5) == pytest.approx(0.5, abs=0.03)


def test_holm_takes_as_many_as_its_steps_allow():
    assert holm([0.01, 0.04, 0.03, 0.005], alpha=0.05) == [True, False, False, True]
    assert holm([], alpha=0.05) == []


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(numbers, min_size=1), st.lists(numbers, min_size=1))
def test_any_numbers_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": np.array(values, float)}) for values in (before, now)]
    _is_sound(*frames)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.none() | days, min_size=1), st.lists(st.none() | days, min_size=1))
def test_any_dates_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": pd.Series(v, dtype="datetime64[us]")}) for v in (before, now)]
    _is_sound(*frames)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.none() | st.text(max_size=3), min_size=1),
    st.lists(st.none() | st.text(max_size=3), min_size=1),
)
def test_any_texts_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": pd.Series(values, dtype="str")}) for values in (before, now)]
    _is_sound(*frames)


def _is_sound(before, now):
    reference = profile_of(before)
    current = profile_of(now, reference)
    found = compare(reference, current, None, DriftSettings(minimum_rows=1))
    one = found.features["x"]
    assert found.finding in ("drifted", "stable")
    assert 0 <= one.p_value <= 1
    assert np.isfinite(one.psi)
    assert one.psi >= 0
    assert one.ks is None or 0 <= one.ks <= 1
    assert 'class="now"' in picture(reference.features["x"], current.features["x"])
    itself = compare(reference, reference, None, DriftSettings(minimum_rows=1))
    assert itself.features["x"].psi == 0.0
    assert itself.finding == "stable"


def test_ten_thousand_categories_can_be_compared():
    words = [f"word {i % 10_000}" for i in range(30_000)]
    found = drift_of(pd.DataFrame({"word": words}), pd.DataFrame({"word": words[:20_000]}))
    assert found.finding == "stable"


def test_one_value_that_becomes_another_is_drift():
    before, now = (pd.DataFrame({"x": np.full(500, value)}) for value in (1.0, 2.0))
    assert drift_of(before, before).finding == "stable"
    assert drift_of(before, now).features["x"].ks == 1.0


@pytest.mark.parametrize("categories", [2, 30, 150])
@pytest.mark.parametrize("rows", [100, 1000])
def test_categories_that_stay_alarm_in_at_most_alpha_of_checks(categories, rows):
    rng = np.random.default_rng(categories)
    shares = rng.dirichlet(np.full(categories, 2.0))
    words = np.array([f"w{i}" for i in range(categories)])
    drawn = pyarrow.array(rng.choice(words, 20_000, p=shares))
    bins = category_bins(drawn)
    before = CategoryCounts("categorical", False, bins, bins.count(drawn)[0])
    alarms = 0
    for _ in range(300):
        counted, _ = bins.count(pyarrow.array(rng.choice(words, rows, p=shares)))
        now = Profile(rows, {"word": replace(before, counts=counted)})
        alarms += compare(Profile(20_000, {"word": before}), now, None, LIMITS).finding == "drifted"
    assert alarms <= 3


def test_a_profile_of_no_features_is_stable():
    empty = Profile(500, {})
    assert compare(empty, empty, None, LIMITS).finding == "stable"
