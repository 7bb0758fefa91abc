"""Profiles: they can be merged, are exact and small, and handle extreme input."""

import json

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from ratchet.errors import InputError
from ratchet.profile.bins import category_bins, number_bins
from ratchet.profile.profile import Profile, from_json, summed, to_json
from ratchet.profile.reading import read_current, read_reference
from ratchet.settings import DataSettings
from ratchet.statistics.distances import kolmogorov_smirnov, population_stability_index
from tests.profiles import profile_of

PROJECT = DataSettings(source="x.csv", target="target")

anything = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70).map(float),
    st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, float("inf"), float("nan")]),
)
names = st.one_of(st.none(), st.sampled_from(["red", "Red ", "blue", ""]), st.text(max_size=4))


def frame_of(numbers, words):
    size = min(len(numbers), len(words))
    return pd.DataFrame(
        {"number": np.array(numbers[:size], float), "word": pd.Series(words[:size], dtype="str")}
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    reference=st.tuples(st.lists(anything, min_size=1), st.lists(names, min_size=1)),
    current=st.tuples(st.lists(anything, min_size=2), st.lists(names, min_size=2)),
    cut=st.floats(0, 1),
)
def test_profiles_of_parts_add_up_to_the_profile_of_the_whole(reference, current, cut):
    like = profile_of(frame_of(*reference))
    whole = frame_of(*current)
    at = int(cut * len(whole))
    parts = profile_of(whole[:at], like) + profile_of(whole[at:], like)
    assert to_json(parts) == to_json(profile_of(whole, like))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(anything, min_size=1), st.lists(anything, min_size=1))
def test_each_number_is_counted_once_in_its_own_bin(reference, current):
    like = profile_of(pd.DataFrame({"x": np.array(reference, float)}))
    feature = profile_of(pd.DataFrame({"x": np.array(current, float)}), like).features["x"]
    finite = np.array([value for value in current if np.isfinite(value)])
    assert feature.missing == len(current) - len(finite)
    expected = np.searchsorted(feature.bins.edges, finite, side="left")
    assert (
        feature.counts.tolist()
        == np.bincount(expected, minlength=len(feature.bins.edges) + 1).tolist()
    )


@pytest.mark.parametrize("spread", [1e-300, 1e-3, 1.0, 1e15, 1e307])
def test_the_lookup_table_finds_the_same_bins_as_a_binary_search(spread):
    rng = np.random.default_rng(0)
    bins = number_bins(rng.normal(size=50_000) * spread)
    values = np.concatenate([rng.standard_t(1, size=100_000) * spread, bins.edges, [0.0]])
    values = values[np.isfinite(values)]
    expected = np.bincount(np.searchsorted(bins.edges, values), minlength=len(bins.edges) + 1)
    assert bins.count(values).tolist() == expected.tolist()


def shapes(rng, size):
    uniform = rng.random(size)
    return {
        "continuous": rng.normal(size=size),
        "discrete": rng.integers(0, 12, size).astype(float),
        "tied": np.where(uniform < 0.4, 0.0, rng.exponential(size=size)),
        "rounded": rng.normal(size=size).round(1),
        "constant": np.full(size, 3.5),
        "skewed": rng.lognormal(0, 3, size=size),
        "uniform": uniform,
        "many atoms": rng.zipf(1.5, size).astype(float),
    }


@pytest.mark.parametrize(
    "change", [lambda x: x, lambda x: x * 1.1, lambda x: x + 0.07, np.negative]
)
@pytest.mark.parametrize("shape", list(shapes(np.random.default_rng(0), 2)))
@pytest.mark.parametrize("sizes", [(20_000, 7_000), (400, 900), (120, 40)])
def test_ks_differs_from_scipy_by_at_most_two_thousandths(shape, change, sizes):
    before = shapes(np.random.default_rng(1), sizes[0])[shape]
    after = change(shapes(np.random.default_rng(2), sizes[1])[shape])
    bins = number_bins(before)
    ours = kolmogorov_smirnov(bins.count(before), bins.count(after))
    assert ours == pytest.approx(ks_2samp(before, after).statistic, abs=0.002)


def test_psi_equals_its_definition_on_the_deciles():
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=10_000), rng.normal(0.3, 1.2, size=4_000)
    like = profile_of(pd.DataFrame({"x": before})).features["x"]
    now = profile_of(pd.DataFrame({"x": after}), Profile(1, {"x": like})).features["x"]
    edges = [-np.inf, *like.bins.coarse, np.inf]
    p = np.histogram(before, edges)[0] / len(before)
    q = np.histogram(after, edges)[0] / len(after)
    assert len(p) == 10
    assert p == pytest.approx(np.full(10, 0.1), abs=0.0005)
    expected = float(np.sum((q - p) * np.log(q / p)))
    assert population_stability_index(like.shares, now.shares) == pytest.approx(expected, abs=1e-9)


def test_a_profile_of_ten_thousand_categories_is_small_and_counts_all_rows():
    words = pd.DataFrame({"word": [f"w{i % 10_000:04d}" for i in range(30_000)]})
    feature = profile_of(words).features["word"]
    assert feature.bins.names == ()
    assert feature.bins.open
    assert feature.counts.tolist() == [30_000, 0]
    assert len(to_json(Profile(30_000, {"word": feature}))) < 10_000


def test_unseen_categories_have_a_bin_and_other_spellings_are_listed_first():
    like = profile_of(pd.DataFrame({"word": ["red"] * 60 + ["blue"] * 40}))
    now = ["red"] * 10 + ["RED", "re d", "Blue ", "apple", "apple"]
    feature = profile_of(pd.DataFrame({"word": now}), like).features["word"]
    assert feature.counts.tolist() == [10, 0, 0, 5]
    assert list(feature.examples) == ["Blue ", "RED", "apple", "re d"]
    assert feature.bins.respelt(feature.examples) == {"Blue ": "blue", "RED": "red"}


def test_a_rare_category_is_not_unseen():
    bins = category_bins(pyarrow.array(["a"] * 500 + ["b"] * 3))
    counted, new = bins.count(pyarrow.array(["a", "b", "c"]))
    assert counted.tolist() == [1, 1, 1]
    assert new == {"c": 1}


def test_dates_before_1970_keep_their_order():
    days = pd.date_range("1899-01-01", "1969-12-31", freq="7D")
    like = profile_of(pd.DataFrame({"born": days}))
    profile = profile_of(pd.DataFrame({"born": pd.to_datetime(["1880-05-05", "2020-01-01"])}), like)
    assert like.features["born"].kind == "date"
    assert profile.features["born"].counts[[0, -1]].tolist() == [1, 1]


def test_a_huge_integer_is_a_number(tmp_path):
    (tmp_path / "huge.csv").write_text("x\n" + "123456789012345678901234567890\n5\n" * 3)
    feature = read_reference(str(tmp_path / "huge.csv"), PROJECT).profile.features["x"]
    assert feature.kind == "numeric"
    assert feature.bins.atoms.tolist() == [5.0, 1.2345678901234568e29]


def test_one_row_is_a_profile():
    feature = profile_of(pd.DataFrame({"x": [1.5]})).features["x"]
    assert feature.counts.tolist() == [0, 1, 0]


def test_a_profile_is_the_same_after_json():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=5000), "word": rng.choice(["a", "b"], 5000)})
    text = to_json(profile_of(frame))
    assert to_json(from_json(text, "here")) == text


def test_a_profile_of_twenty_columns_takes_about_a_hundred_kilobytes():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({f"n{i}": rng.normal(size=50_000) for i in range(16)})
    assert len(to_json(profile_of(frame))) < 110_000


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 2, "rows": "x"}'])
def test_a_file_that_is_not_a_profile_is_an_error(text):
    with pytest.raises(InputError, match=r"there is not a profile .* Train again"):
        from_json(text, "there")


def test_a_profile_of_another_version_is_an_error_that_asks_for_training():
    with pytest.raises(InputError, match="the profile version 9; expected 2"):
        from_json(json.dumps({"version": 9}), "there")


def test_csv_and_parquet_have_the_same_profile(tmp_path):
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(
        {
            "x": np.where(rng.random(500) < 0.1, np.nan, rng.normal(size=500)),
            "code": rng.integers(0, 4, 500),
            "flag": rng.random(500) < 0.3,
            "day": pd.Timestamp("2024-02-28") + pd.to_timedelta(rng.integers(0, 90, 500), "D"),
            "word": rng.choice(["a", "NA", "c d"], 500),
        }
    )
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_csv(tmp_path / "d.csv", index=False)
    settings = DataSettings(
        source="d", target="t", missing=("",), kinds={"code": "categorical", "flag": "boolean"}
    )
    one = read_reference(str(tmp_path / "d.parquet"), settings).profile
    other, schema = read_current(str(tmp_path / "d.csv"), settings, one)
    assert to_json(other.profile) == to_json(one)
    assert schema.sentences == []
    assert [c.kind for c in one.features.values()] == [
        "numeric",
        "categorical",
        "boolean",
        "date",
        "categorical",
    ]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_glob_and_an_address_have_the_profile_of_the_whole(tmp_path, kind):
    rng = np.random.default_rng(7)
    days = pd.Timestamp("1969-12-30") + pd.to_timedelta(np.arange(900), "h")
    whole = pd.DataFrame(
        {"x": rng.normal(size=900), "zip": rng.choice(["007", "12", "a"], 900), "day": days}
    )
    whole.to_parquet(tmp_path / "whole.parquet")
    for part in range(3):
        rows = whole[part * 300 : (part + 1) * 300]
        if kind == "csv":
            rows.to_csv(tmp_path / f"part{part}.csv", index=False)
        else:
            rows.to_parquet(tmp_path / f"part{part}.parquet")
    like = read_reference(str(tmp_path / "whole.parquet"), PROJECT).profile
    by_glob, _ = read_current(f"{tmp_path}/part*.{kind}", PROJECT, like)
    by_address, _ = read_current(f"file://{tmp_path}/part*.{kind}", PROJECT, like)
    parts = [read_current(f"{tmp_path}/part{n}.{kind}", PROJECT, like)[0].profile for n in range(3)]
    assert to_json(by_glob.profile) == to_json(by_address.profile) == to_json(like)
    assert to_json(parts[0] + parts[1] + parts[2]) == to_json(like)


def test_a_file_as_the_reference_holds_classes_predictions_and_accuracy(tmp_path):
    frame = pd.DataFrame(
        {"x": np.arange(200.0), "target": np.resize([0, 1], 200), "prediction": np.resize([0], 200)}
    )
    frame.to_csv(tmp_path / "d.csv", index=False)
    profile = read_reference(str(tmp_path / "d.csv"), PROJECT).profile
    assert list(profile.features) == ["x"]
    assert profile.target.bins.names == ("0.0", "1.0")
    assert profile.prediction.counts.tolist() == [200, 0, 0]
    assert profile.right.share_of("true") == 0.5
    again, _ = read_current(frame, PROJECT, profile)
    assert to_json(again.profile) == to_json(profile)


def test_the_same_file_gives_the_same_sample(tmp_path):
    pd.DataFrame({"x": np.arange(200_000.0)}).to_parquet(tmp_path / "d.parquet")
    samples = [read_reference(str(tmp_path / "d.parquet"), PROJECT).sample for _ in range(2)]
    assert samples[0].num_rows == 4000
    assert samples[0].equals(samples[1])
    assert samples[0]["x"].to_numpy().mean() == pytest.approx(100_000, rel=0.03)


def test_counts_that_one_part_lacks_are_none_in_the_sum():
    assert summed(None, None) is None
