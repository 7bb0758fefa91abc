"""The rule that decides: drift, stable, or too little data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.drift.comparison import compare
from ratchet.drift.dependence import Dependence
from ratchet.drift.difference import Pair
from ratchet.drift.joint import joint_shift
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


def test_two_samples_of_one_population_are_stable():
    result = drift_of(frame(0), frame(1))
    assert result.finding == "stable"
    assert result.reason == "no change beyond the limits"
    assert result.rows == Pair(4000, 4000)


def test_a_shift_is_drift_in_that_feature_only():
    result = drift_of(frame(0), frame(1, shift=0.4))
    assert result.finding == "drifted"
    assert result.drifted == ["age"]
    assert result.reason == "changed: age"
    assert result.features["age"].psi == pytest.approx(0.16, abs=0.03)
    assert result.features["age"].ks == pytest.approx(0.158, abs=0.02)


def test_a_trivial_shift_is_not_drift_with_many_rows():
    result = drift_of(frame(0, 200_000), frame(1, 200_000, shift=0.05))
    assert result.finding == "stable"
    assert result.features["age"].p_value == 1.0


def test_changed_shares_of_categories_are_drift():
    now = frame(1)
    now["city"] = np.where(now["city"] == "Oslo", "Bergen", now["city"])
    assert drift_of(frame(0), now).drifted == ["city"]


def test_a_category_never_seen_before_is_drift():
    now = frame(1)
    now.loc[:800, "city"] = "Tromsø"
    result = drift_of(frame(0), now)
    assert result.drifted == ["city"]
    assert result.features["city"].unseen == pytest.approx(801 / 4000)


def test_new_missing_values_are_drift():
    now = frame(1)
    now.loc[:800, "age"] = None
    result = drift_of(frame(0), now)
    assert result.drifted == ["age"]
    assert result.features["age"].missing == Pair(0.0, 801 / 4000)
    assert result.features["age"].ks == pytest.approx(0.0, abs=0.03)


def test_a_column_that_became_empty_is_drift():
    now = frame(1).assign(age=np.nan)
    result = drift_of(frame(0), now)
    assert result.drifted == ["age"]
    assert result.features["age"].ks is None


def test_too_few_rows_give_no_verdict():
    result = drift_of(frame(0), frame(1, rows=99, shift=3.0))
    assert result.finding == "insufficient"
    assert "99 rows against 4,000 of the reference; a verdict takes 100" in result.reason
    assert result.features["age"].p_value is None
    assert drift_of(frame(0), frame(1, rows=100, shift=3.0)).finding == "drifted"


def test_features_outside_the_setting_are_reported_but_do_not_decide():
    limits = DriftSettings(features=("visits",))
    result = drift_of(frame(0), frame(1, shift=1.0), limits)
    assert result.finding == "stable"
    assert result.features["age"].psi > 0.5


def test_worse_accuracy_is_drift_and_better_accuracy_is_not():
    before = answered(right=900, wrong=100)
    worse = compare(before, answered(700, 300, like=before), None, LIMITS)
    assert worse.finding == "drifted"
    assert worse.reason == "changed: accuracy, from 0.900 to 0.700"
    assert worse.accuracy == Pair(0.9, 0.7)
    better = compare(before, answered(1000, 0, like=before), None, LIMITS)
    assert better.finding == "stable"
    assert better.accuracy == Pair(0.9, 1.0)


def test_labels_that_are_still_missing_are_not_drift():
    before = answered(right=900, wrong=100)
    result = compare(before, answered(180, 20, unlabelled=800, like=before), None, LIMITS)
    assert result.finding == "stable"
    assert result.accuracy == Pair(0.9, 0.9)


def test_a_model_without_an_error_on_its_holdout_can_lose_accuracy():
    before = answered(right=500, wrong=0)
    result = compare(before, answered(400, 100, like=before), None, LIMITS)
    assert result.accuracy == Pair(1.0, 0.8)
    assert result.answers["right"].drifted


def test_a_change_of_dependence_alone_is_drift():
    before = profile_of(frame(0))
    now = profile_of(frame(1), before)
    together = Dependence(0.6, 0.004, (("age", "visits"),))
    result = compare(before, now, together, LIMITS)
    assert result.reason == "changed: how features go together (age with visits)"
    assert compare(before, now, Dependence(0.55, 0.006, ()), LIMITS).finding == "stable"


def test_psi_adds_half_a_row_to_each_bin_if_one_is_empty():
    before, now = np.array([10, 20, 0]), np.array([12, 8, 4])
    p, q = (np.array([10.5, 20.5, 0.5]) / 31.5, np.array([12.5, 8.5, 4.5]) / 25.5)
    expected = float(np.sum((q - p) * np.log(q / p)))
    assert population_stability_index(before, now) == pytest.approx(expected, abs=1e-12)


def test_p_values_of_psi_are_uniform_without_change_and_without_tolerance():
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    results = [
        psi_p_value(rng.multinomial(20_000, shares), rng.multinomial(2000, shares), tau=0.0)
        for _ in range(2000)
    ]
    assert np.mean(np.array(results) < 0.05) == pytest.approx(0.05, abs=0.012)
    assert np.mean(np.array(results) < 0.5) == pytest.approx(0.5, abs=0.03)


def test_holm_stops_at_the_first_p_value_above_its_limit():
    assert holm([0.01, 0.04, 0.03, 0.005], alpha=0.05) == [True, False, False, True]
    assert holm([], alpha=0.05) == []


@pytest.mark.slow
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(numbers, min_size=1), st.lists(numbers, min_size=1))
def test_any_numbers_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": np.array(values, float)}) for values in (before, now)]
    _compares_without_error(*frames)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.none() | days, min_size=1), st.lists(st.none() | days, min_size=1))
def test_any_dates_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": pd.Series(v, dtype="datetime64[us]")}) for v in (before, now)]
    _compares_without_error(*frames)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.none() | st.text(max_size=3), min_size=1),
    st.lists(st.none() | st.text(max_size=3), min_size=1),
)
def test_any_texts_can_be_compared(before, now):
    frames = [pd.DataFrame({"x": pd.Series(values, dtype="str")}) for values in (before, now)]
    _compares_without_error(*frames)


def _compares_without_error(before, now):
    reference = profile_of(before)
    current = profile_of(now, reference)
    result = compare(reference, current, None, DriftSettings(minimum_rows=1))
    one = result.features["x"]
    assert result.finding in ("drifted", "stable")
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
    result = drift_of(pd.DataFrame({"word": words}), pd.DataFrame({"word": words[:20_000]}))
    assert result.finding == "stable"


def test_one_value_that_becomes_another_is_drift():
    before, now = (pd.DataFrame({"x": np.full(500, value)}) for value in (1.0, 2.0))
    assert drift_of(before, before).finding == "stable"
    assert drift_of(before, now).features["x"].ks == 1.0


@pytest.mark.parametrize("categories", [2, 30, 150])
@pytest.mark.parametrize("rows", [100, 1000])
def test_unchanged_categories_alarm_in_at_most_alpha_of_checks(categories, rows):
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


def test_a_profile_without_features_is_stable():
    empty = Profile(500, {})
    assert compare(empty, empty, None, LIMITS).finding == "stable"


def words_of(rng, rows, names=1000):
    shares = np.random.default_rng(names).dirichlet(np.full(names, 2.0))
    return pd.DataFrame({"word": rng.choice([f"w{i}" for i in range(names)], rows, p=shares)})


@pytest.mark.parametrize("names", [500, 5000])
def test_names_that_a_sample_happens_to_lack_are_not_drift(names):
    rng = np.random.default_rng(names)
    for _ in range(20):
        result = drift_of(words_of(rng, 2000, names), words_of(rng, 1000, names))
        assert result.finding == "stable"


def test_a_new_name_of_a_few_percent_among_twenty_names_is_drift():
    rng = np.random.default_rng(5)
    now = words_of(rng, 1000, 20)
    now.loc[:29, "word"] = "new"
    result = drift_of(words_of(rng, 2000, 20), now)
    assert result.drifted == ["word"]
    assert result.features["word"].unseen == 0.03


def test_a_loss_of_five_points_of_accuracy_is_drift_and_of_half_a_point_is_not():
    before = answered(right=1800, wrong=200)
    lost = compare(before, answered(1700, 300, like=before), None, LIMITS)
    assert lost.reason == "changed: accuracy, from 0.900 to 0.850"
    noise = compare(before, answered(17_900, 2_100, like=before), None, LIMITS)
    assert noise.finding == "stable"


def test_a_model_with_few_errors_that_makes_four_times_as_many_has_drifted():
    before = answered(right=1980, wrong=20)
    assert compare(before, answered(960, 40, like=before), None, LIMITS).answers["right"].drifted


def test_ten_stable_features_take_no_power_from_the_test_of_the_accuracy():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(2000, 10))).rename(columns=str)
    before = replace(profile_of(table), right=answered(1800, 200).right)
    now = answered(856, 144, like=replace(answered(1800, 200), features=answered(1, 1).features))
    drift = compare(before, replace(profile_of(table, before), right=now.right), None, LIMITS)
    assert drift.answers["right"].p_value == pytest.approx(0.0037, abs=0.0001)
    assert drift.reason == "changed: accuracy, from 0.900 to 0.856"


def test_ten_points_more_of_a_predicted_class_are_drift_and_two_are_tolerated():
    def predicting(yes, rows, like=None):
        words = pd.DataFrame({"prediction": np.repeat(["yes", "no"], [yes, rows - yes])})
        counted = profile_of(words, like and Profile(1, {"prediction": like.prediction}))
        return Profile(rows, {}, prediction=counted.features["prediction"])

    before = predicting(600, 2000)
    more = compare(before, predicting(400, 1000, before), None, LIMITS)
    assert more.reason == "changed: the predicted classes"
    before = predicting(6000, 20_000)
    same = compare(before, predicting(32_000, 100_000, before), None, LIMITS)
    assert same.finding == "stable"
    assert same.answers["prediction"].verdict == "changed, within tolerance"


def test_four_points_more_missing_values_are_drift():
    before, now = frame(0, 20_000), frame(1, 1000)
    before.loc[:199, "age"] = None
    now.loc[:49, "age"] = None
    assert drift_of(before, now).drifted == ["age"]


def test_a_change_within_the_tolerance_is_named_and_is_not_drift():
    result = drift_of(frame(0, 100_000), frame(1, 100_000, shift=0.05))
    assert result.finding == "stable"
    assert result.features["age"].verdict == "changed, within tolerance"
    assert result.reason == "no change beyond the limits; changed, within tolerance: age"


def test_a_check_names_the_smallest_shift_that_its_rows_can_show():
    few = drift_of(frame(0, 20_000), frame(1, 200))
    many = drift_of(frame(0, 20_000), frame(1, 20_000))
    assert few.smallest_shift == pytest.approx(0.5, abs=0.1)
    assert many.smallest_shift == pytest.approx(0.19, abs=0.03)
    results = [drift_of(frame(0, 4000), frame(s, 400, few.smallest_shift)) for s in range(2, 42)]
    assert sum(one.finding == "drifted" for one in results) >= 28


def shifted_in_three(seed, rows, shift, columns=13):
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    values[:, :3] += shift
    return pd.DataFrame(values, columns=[f"n{i}" for i in range(columns)])


def joint_of(reference, current):
    before = profile_of(reference)
    now = profile_of(current, before)
    sample = pyarrow.Table.from_pandas(reference)
    joint = joint_shift(before, now, sample)
    return compare(before, now, None, LIMITS, joint=joint)


def test_a_small_shift_of_three_columns_is_found_together():
    results = [
        joint_of(shifted_in_three(2 * s, 4000, 0.0), shifted_in_three(2 * s + 1, 1000, 0.2))
        for s in range(20)
    ]
    assert sum(one.finding == "drifted" for one in results) >= 12
    assert sum(bool(one.drifted) for one in results) <= 8
    reasons = [one.reason for one in results if one.finding == "drifted" and not one.drifted]
    assert "several features by a little (n" in reasons[0]


@pytest.mark.parametrize(("rows", "shift"), [(200, 0.0), (1000, 0.0), (20_000, 0.05)])
def test_no_shift_and_trivial_shifts_of_many_columns_are_not_found_together(rows, shift):
    for s in range(20):
        before, now = shifted_in_three(2 * s, 4000, 0.0), shifted_in_three(2 * s + 1, rows, shift)
        assert not joint_of(before, now).joint.drifted


def test_columns_that_are_copies_of_each_other_count_once_in_the_joint_shift():
    def copies(seed, rows, shift):
        column = np.random.default_rng(seed).normal(shift, size=rows)
        return pd.DataFrame({f"n{i}": column for i in range(8)})

    results = [joint_of(copies(2 * s, 2000, 0.0), copies(2 * s + 1, 500, 0.0)) for s in range(40)]
    assert not any(one.joint.drifted for one in results)
