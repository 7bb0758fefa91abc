"""Splits by time and by group: no row or group on the wrong side, whatever the table is."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.dataset import Table, load
from ratchet.data.folds import covering_folds, folds
from ratchet.data.split import Split, load_split, split
from ratchet.data.split_record import record_of, sentence
from ratchet.errors import InputError
from ratchet.settings import DataSettings, SplitSettings, read_settings

DAY = np.timedelta64(1, "D")
WEEK_GAP = SplitSettings(by="time", column="day", gap="7d")


def table_of(days: list[int], groups: list[int]) -> Table:
    """Return a table of rows on these days and of these groups, with two classes in turns."""
    places = np.arange(len(days))
    return Table(
        "rows.csv",
        pd.DataFrame({"x": places.astype(float)}),
        np.array(["no", "yes"])[places % 2],
        {"x": "numeric"},
        pd.DataFrame(index=places),
        pd.DataFrame(index=places),
        np.datetime64("2026-01-01", "us") + np.array(days) * DAY,
        pd.util.hash_array(np.array(groups)),
    )


def taken(table: Table, rows: np.ndarray) -> Table:
    assert table.times is not None
    assert table.groups is not None
    features = table.features.iloc[rows].reset_index(drop=True)
    target, slices = table.target[rows], table.slices.iloc[rows]
    times, groups = table.times[rows], table.groups[rows]
    return Table(table.name, features, target, table.kinds, slices, slices, times, groups)


def sides(table: Table, **rule: Any) -> Split | None:
    """Return the split, or None if this table allows none."""
    try:
        return split(table, 0.2, 42, SplitSettings(**rule))
    except InputError:
        return None


rows = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), min_size=8, max_size=80)


@given(rows, st.sampled_from(["0s", "36h", "7d"]), st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_holdout_row_is_older_than_a_training_row_and_the_gap(
    drawn: list[tuple[int, int]], gap: str, with_groups: bool
) -> None:
    table = table_of(*map(list, zip(*drawn, strict=True)))
    group = "customer" if with_groups else None
    if parts := sides(table, by="time", column="day", gap=gap, group=group):
        assert table.times is not None
        oldest, newest = table.times[parts.in_holdout].min(), table.times[parts.in_training].max()
        days = {"0s": 0.0, "36h": 1.5, "7d": 7.0}[gap]
        assert (oldest - newest) / np.timedelta64(1, "D") > days
        assert not (parts.in_holdout & parts.in_training).any()
        assert table.groups is not None
        if with_groups:
            both = set(table.groups[parts.in_holdout]) & set(table.groups[parts.in_training])
            assert not both


@given(rows)
@settings(max_examples=100, deadline=None)
def test_no_group_is_on_both_sides(drawn: list[tuple[int, int]]) -> None:
    table = table_of(*map(list, zip(*drawn, strict=True)))
    if parts := sides(table, by="group", column="customer"):
        assert table.groups is not None
        assert (parts.in_holdout ^ parts.in_training).all()
        assert not set(table.groups[parts.in_holdout]) & set(table.groups[parts.in_training])


@given(rows, st.sampled_from(["time", "group", "random"]), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_does_not_matter(
    drawn: list[tuple[int, int]], by: str, seed: int
) -> None:
    table = table_of(*map(list, zip(*drawn, strict=True)))
    if by == "random":
        rule = {"by": by}
    else:
        rule = {"by": by, "column": "a"} | ({"gap": "2d"} if by == "time" else {})
    order = np.random.default_rng(seed).permutation(len(drawn))
    first, second = sides(table, **rule), sides(taken(table, order), **rule)
    assert (first is None) == (second is None)
    if first and second:
        assert np.array_equal(first.in_holdout[order], second.in_holdout)
        assert np.array_equal(first.in_training[order], second.in_training)


@given(rows, rows)
@settings(max_examples=100, deadline=None)
def test_rows_added_later_move_no_row_of_a_group_split(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    many = [(0, group) for group in range(40)]  # so many that both sides have some by their hash
    before = sides(table_of(*map(list, zip(*many, *old, strict=True))), by="group", column="a")
    after = sides(table_of(*map(list, zip(*many, *old, *new, strict=True))), by="group", column="a")
    if before and after:
        assert np.array_equal(before.in_holdout, after.in_holdout[: len(before.in_holdout)])


@given(rows, rows)
@settings(max_examples=100, deadline=None)
def test_newer_rows_move_rows_of_a_time_split_to_training_only(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    later = [(61 + day, group) for day, group in new]
    before = sides(table_of(*map(list, zip(*old, strict=True))), by="time", column="day", gap="2d")
    after = sides(
        table_of(*map(list, zip(*old, *later, strict=True))), by="time", column="day", gap="2d"
    )
    if before and after:
        assert not (before.in_training & ~after.in_training[: len(old)]).any()
        assert not (after.in_holdout[: len(old)] & ~before.in_holdout).any()


def dated(folder: Path, **columns: object) -> Path:
    """Write 100 rows, a row a day, of 20 customers."""
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2026-01-01", periods=100).strftime("%Y-%m-%d"),
            "customer": [f"c{n % 20}" for n in range(100)],
            "x": np.arange(100) / 7,
            "y": ["no", "yes"] * 50,
            **columns,
        }
    )
    path = folder / "orders.csv"
    frame.to_csv(path, index=False)
    return path


def of_file(path: Path, rule: dict[str, Any], **more: object) -> Split:
    data = {"source": str(path), "target": "y", "split": rule, "text": {"customer": "drop"}}
    return load_split(DataSettings.model_validate(data | more))


def test_the_newest_rows_are_the_holdout_and_the_gap_is_left_out(tmp_path: Path) -> None:
    parts = of_file(dated(tmp_path), {"by": "time", "column": "day", "gap": "7d"})
    assert np.flatnonzero(parts.in_holdout).tolist() == list(range(80, 100))
    assert np.flatnonzero(parts.in_training).tolist() == list(range(73))
    assert record_of(parts) == {
        "by": "time",
        "rows": {"training": 73, "holdout": 20, "left_out": 7},
        "time": "day",
        "gap": "7d",
        "times": {
            "training": ["2026-01-01T00:00:00", "2026-03-14T00:00:00"],
            "holdout": ["2026-03-22T00:00:00", "2026-04-10T00:00:00"],
        },
    }
    assert sentence(record_of(parts)) == (
        "Split by time: 73 rows for training, 20 in the holdout; 7 rows between them are left out;"
        " training 2026-01-01T00:00:00 to 2026-03-14T00:00:00, holdout 2026-03-22T00:00:00 to"
        " 2026-04-10T00:00:00"
    )


def test_a_split_by_group_counts_the_groups(tmp_path: Path) -> None:
    record = record_of(of_file(dated(tmp_path), {"by": "group", "column": "customer"}))
    assert record["groups"]["training"] + record["groups"]["holdout"] == 20
    assert record["rows"]["holdout"] == 5 * record["groups"]["holdout"]


def test_the_split_column_may_be_dropped_from_the_features(tmp_path: Path) -> None:
    path, rule = dated(tmp_path), {"by": "time", "column": "day"}
    assert list(of_file(path, rule).table.features) == ["day", "x"]
    dropped = of_file(path, rule, drop=["day", "customer"])
    assert list(dropped.table.features) == ["x"]
    assert dropped.in_holdout.sum() == 20


def test_groups_are_the_same_in_csv_and_parquet(tmp_path: Path) -> None:
    path = dated(tmp_path, customer=[n % 20 for n in range(100)])
    pd.read_csv(path, parse_dates=["day"]).to_parquet(tmp_path / "orders.parquet")
    rule = {"by": "group", "column": "customer"}
    splits = [of_file(file, rule, text={}) for file in (path, tmp_path / "orders.parquet")]
    assert np.array_equal(splits[0].in_holdout, splits[1].in_holdout)
    assert splits[0].sha256 == splits[1].sha256


def test_the_rule_and_the_weights_are_part_of_the_sha256(tmp_path: Path) -> None:
    path = dated(tmp_path, w=[1.0, 2.0] * 50)
    rules: list[dict[str, Any]] = [
        {"by": "random"},
        {"by": "time", "column": "day"},
        {"by": "time", "column": "day", "gap": "1h"},
        {"by": "group", "column": "customer"},
    ]
    digests = {of_file(path, rule, drop=["w"]).sha256 for rule in rules}
    digests.add(of_file(path, {"by": "random"}, weight="w").sha256)
    assert len(digests) == 5


def test_folds_by_time_go_forward_and_keep_the_gap(tmp_path: Path) -> None:
    parts = of_file(dated(tmp_path), {"by": "time", "column": "day", "gap": "7d"})
    made = folds(parts, 3, seed=1)
    assert [(len(train), int(test.min()), len(test)) for train, test in made] == [
        (11, 18, 18),
        (29, 36, 18),
        (47, 54, 19),
    ]
    assert all(train.max() < test.min() - 7 for train, test in made)


def test_covering_folds_test_each_row_once(tmp_path: Path) -> None:
    for rule in (
        {"by": "time", "column": "day", "gap": "3d"},
        {"by": "group", "column": "customer"},
    ):
        parts = of_file(dated(tmp_path), rule)
        tested = np.concatenate([test for _, test in covering_folds(parts, 4, seed=1)])
        assert sorted(tested) == list(range(parts.in_training.sum()))


def test_no_group_is_on_both_sides_of_a_fold(tmp_path: Path) -> None:
    parts = of_file(dated(tmp_path), {"by": "group", "column": "customer"})
    assert parts.table.groups is not None
    groups = parts.table.groups[parts.in_training]
    for train, test in folds(parts, 4, seed=1):
        assert not set(groups[train]) & set(groups[test])


@pytest.mark.parametrize(
    ("rule", "columns", "message"),
    [
        ({"by": "time", "column": "dya"}, {}, r"no column 'dya' \(data.split.column\); did you"),
        (
            {"by": "time", "column": "customer"},
            {},
            "'customer' .* does not hold dates: .* by group",
        ),
        ({"by": "time", "column": "x"}, {}, "does not hold dates: .* could mean seconds"),
        (
            {"by": "time", "column": "day"},
            {"day": ["2026-01-01"] * 100},
            "holds one time, 2026.* only",
        ),
        ({"by": "time", "column": "day"}, {"day": ["2026-01-01", None] * 50}, "no value in 50 of"),
        (
            {"by": "group", "column": "customer"},
            {"customer": ["a"] * 100},
            "holds one group only; a split needs two",
        ),
        ({"by": "group", "column": "customer"}, {"customer": ["a", None] * 50}, "no value in 50"),
        ({"by": "group", "column": "y"}, {}, "'y' is the target and data.split.column"),
        (
            {"by": "time", "column": "day", "gap": "90d"},
            {},
            "a gap of 90d leave.* no row for training",
        ),
        (
            {"by": "time", "column": "day", "group": "customer"},
            {},
            "the groups of 'customer' leave no row for training",
        ),
        (
            {"by": "time", "column": "day"},
            {"y": ["no", "yes"] * 30 + ["no"] * 40},
            "the holdout has 20 rows of one class only, no; expected two classes",
        ),
        (
            {"by": "time", "column": "day"},
            {"y": ["no"] * 80 + ["yes", "no"] * 10},
            "the training part has 80 rows of one class only, no",
        ),
    ],
)
def test_a_split_that_cannot_be_made_is_one_line(
    tmp_path: Path, rule: dict[str, Any], columns: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        of_file(dated(tmp_path, **columns), rule)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, None] * 50, "no value in 50 of 100 rows"),
        ([1.0, -1.0] * 50, "negative or infinite"),
        ([0.0] * 100, "all are 0"),
        (["a", "b"] * 50, "does not hold numbers"),
    ],
)
def test_weights_that_cannot_be_used_are_one_line(
    tmp_path: Path, weights: list[object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        of_file(dated(tmp_path, w=weights), {"by": "random"}, weight="w")


def test_the_weight_is_not_a_feature(tmp_path: Path) -> None:
    parts = of_file(dated(tmp_path, w=[1.0, 2.0] * 50), {"by": "random"}, weight="w")
    assert "w" not in parts.table.features
    assert parts.train_weights is not None
    assert sorted(set(parts.train_weights)) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{by: time}", "a split by time needs the key 'column'"),
        ("{by: random, column: day}", "a random split has no column"),
        ("{by: group, column: a, gap: 7d}", "'gap' and 'group' belong to a split by time"),
        ("{by: time, column: a, group: a}", "are the same column"),
        ("{by: time, column: a, gap: a week}", "expected a number with s, m, h, d or w"),
        ("{by: tiem, column: a}", "'random', 'time' or 'group', got 'tiem'"),
        ("{by: time, colunm: a}", "unknown key 'data.split.colunm'; did you mean 'column'"),
    ],
)
def test_a_rule_that_is_not_valid_is_one_line(tmp_path: Path, rule: str, message: str) -> None:
    file = tmp_path / "project.yaml"
    file.write_text(f"model: m\ndata: {{source: a.csv, target: y, split: {rule}}}\n")
    with pytest.raises(InputError, match=message):
        read_settings(file)


def test_folds_that_the_rows_do_not_allow_are_one_line(tmp_path: Path) -> None:
    path = dated(tmp_path, customer=[f"c{n % 4}" for n in range(100)])
    parts = of_file(path, {"by": "group", "column": "customer"})
    with pytest.raises(
        InputError, match="does not allow 9 folds by group in 'customer': the train"
    ):
        folds(parts, 9, seed=1)


def test_the_tables_without_a_rule_have_no_times_and_groups(tmp_path: Path) -> None:
    table = load(DataSettings(source=str(dated(tmp_path)), target="y"))
    assert (table.times, table.groups, table.weights) == (None, None, None)
