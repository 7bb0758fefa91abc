from contextlib import suppress
from pathlib import Path

import duckdb
import hypothesis
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ratchet.data.dataset import Table, load
from ratchet.data.split import split
from ratchet.errors import InputError
from tests.tables import CLASSES, mixed_frame, mixed_table, settings, write, write_text


def column(folder: Path, values: list[str], target: str = "y", **more: object) -> Table:
    """Write a CSV with the column `x`; each value has both classes of the target twice."""
    rows = [f"{value},{label}" for value in values for label in ("left", "stayed") * 2]
    return load(settings(write_text(folder / "a.csv", "x,y\n" + "\n".join(rows)), target, **more))


def labelled(folder: Path, labels: list[str], suffix: str = ".csv") -> Table:
    rows = [f"{number},{label}" for number, label in enumerate(labels)]
    return load(settings(write_text(folder / "a.csv", "x,y\n" + "\n".join(rows)), "y"))


def from_query(folder: Path, query: str, target: str = "y", **more: object) -> Table:
    path = folder / "a.parquet"
    duckdb.sql(f"COPY (SELECT range AS x, {query} FROM range(40)) TO '{path}' (FORMAT parquet)")
    return load(settings(path, target, **more))


def test_every_kind_of_column_is_detected(tmp_path: Path) -> None:
    table = mixed_table(tmp_path)
    assert table.kinds == {
        "age": "numeric",
        "visits": "numeric",
        "city": "categorical",
        "branch": "categorical",  # data.kinds says so
        "member": "boolean",
        "consent": "boolean",
        "joined": "date",
        "last_seen": "date",
        "newsletter": "categorical",
    }
    assert {name: str(dtype) for name, dtype in table.features.dtypes.items()} == {
        "age": "float64",
        "visits": "float64",
        "city": "object",
        "branch": "float64",
        "member": "bool",
        "consent": "object",
        "joined": "datetime64[us]",
        "last_seen": "datetime64[us]",
        "newsletter": "object",
    }
    assert tuple(table.classes) == CLASSES
    assert set(table.features.consent) == {True, False, None}
    assert {type(value) for value in table.features.city} == {str, type(None)}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["yes", "no"], ["no", "yes"]),
        (["true", "false"], [False, True]),
        (["0", "1"], [0, 1]),
        (["-1", "1", "7"], [-1, 1, 7]),
        (["1.0", "2.0", ""], [1, 2]),
        (["1", "x"], ["1", "x"]),
        (["007", "008"], ["007", "008"]),
    ],
)
def test_classes_can_be_texts_whole_numbers_or_booleans(
    tmp_path: Path, labels: list[str], classes: list[object]
) -> None:
    assert labelled(tmp_path, labels * 4).classes.tolist() == classes


def test_twenty_classes_work_like_two(tmp_path: Path) -> None:
    assert len(mixed_table(tmp_path, classes=20).classes) == 20
    assert len(mixed_table(tmp_path, classes=2).classes) == 2


def test_rows_without_a_target_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = labelled(tmp_path, ["a", "b", "", "NA"] * 3)
    assert (len(table.features), len(table.target)) == (6, 6)
    assert "6 of 12 rows have no 'y' and are left out" in capsys.readouterr().out


def test_yes_and_no_stay_text(tmp_path: Path) -> None:
    table = column(tmp_path, ["yes", "no"])
    assert table.kinds == {"x": "categorical"}
    assert set(table.features.x) == {"yes", "no"}


def test_true_and_false_are_boolean_however_they_are_written(tmp_path: Path) -> None:
    table = column(tmp_path, ["true", "FALSE", "True", "false", ""])
    assert table.kinds == {"x": "boolean"}
    assert table.features.x.tolist()[::4] == [True, False, True, False, None]
    assert str(column(tmp_path, ["true", "false"]).features.x.dtype) == "bool"


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    assert set(column(tmp_path, ["007", "010"]).features.x) == {"007", "010"}


@pytest.mark.parametrize("gap", ["", "NA", "N/A", "NaN", "nan", "NULL", "null"])
def test_every_usual_spelling_of_a_missing_value_is_recognized(tmp_path: Path, gap: str) -> None:
    table = column(tmp_path, ["1.5", gap, "2"])
    assert table.kinds == {"x": "numeric"}
    assert table.features.x.isna().sum() == 4


def test_the_settings_can_say_how_a_missing_value_is_written(tmp_path: Path) -> None:
    assert column(tmp_path, ["1", "?"], missing=["?"]).kinds == {"x": "numeric"}
    assert column(tmp_path, ["1", "?"], missing=[]).kinds == {"x": "categorical"}


def test_infinity_is_a_missing_number(tmp_path: Path) -> None:
    table = from_query(tmp_path, "CASE range WHEN 0 THEN 'inf'::DOUBLE ELSE 1 END AS v, x % 2 AS y")
    assert table.features.v.isna().sum() == 1


def test_dates_before_1970_with_time_zones_and_missing_values_become_utc(tmp_path: Path) -> None:
    table = column(tmp_path, ["1950-05-01T02:00:00+02:00", "", "2024-02-29T12:00:00Z"])
    assert table.kinds == {"x": "date"}
    assert table.features.x.tolist()[::4] == [
        pd.Timestamp("1950-05-01"),
        pd.NaT,
        pd.Timestamp("2024-02-29 12:00"),
    ]
    assert str(table.features.x.dtype) == "datetime64[us]"


@pytest.mark.parametrize(
    "value",
    [
        "DATE '1950-05-01'",
        "TIMESTAMP '1950-05-01'",
        "TIMESTAMP_NS '1950-05-01'",
        "TIMESTAMP_S '1950-05-01'",
        "TIMESTAMPTZ '1950-05-01 02:00:00+02'",
    ],
)
def test_a_date_in_parquet_is_the_same_date_in_any_precision(tmp_path: Path, value: str) -> None:
    table = from_query(tmp_path, f"{value} AS d, x % 2 AS y")
    assert table.features.d.tolist()[0] == pd.Timestamp("1950-05-01")
    assert str(table.features.d.dtype) == "datetime64[us]"


def test_the_other_types_of_parquet_have_a_kind(tmp_path: Path) -> None:
    table = from_query(
        tmp_path,
        "1.5::DECIMAL(8, 2) AS decimal, 5::HUGEINT AS huge, 3::UTINYINT AS tiny, TIME '10:30' AS t,"
        " 'a'::ENUM ('a', 'b') AS enum, 'á'::VARCHAR AS text, x % 2 AS y",
    )
    assert list(table.kinds.values()) == ["numeric"] * 4 + ["categorical"] * 3
    assert table.features.iloc[0].tolist() == [0.0, 1.5, 5.0, 3.0, "10:30:00", "a", "á"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_equal_texts_share_one_object_in_memory(tmp_path: Path, suffix: str) -> None:
    """A table of seventy thousand texts in sixteen columns would take gigabytes otherwise."""
    cities = load(settings(write(mixed_frame(600), tmp_path / f"a.{suffix}"))).features.city
    assert len({id(city) for city in cities}) == 1 + cities.nunique()


def test_a_kind_can_be_overridden(tmp_path: Path) -> None:
    codes = column(tmp_path, ["101", "205"], kinds={"x": "categorical"})
    assert (codes.kinds, str(codes.features.x.dtype)) == ({"x": "categorical"}, "float64")
    flags = column(tmp_path, ["1", "0", ""], kinds={"x": "boolean"})
    assert flags.features.x.tolist()[::4] == [True, False, None]
    dates = column(tmp_path, ["1 May 1950", "2 May 1950"], kinds={"x": "date"})
    assert dates.features.x[0] == pd.Timestamp("1950-05-01")
    months = column(tmp_path, ["1 May 1950", "2 Jan 1951"], kinds={"x": "date"})
    assert months.features.x.iloc[-1] == pd.Timestamp("1951-01-02")
    numbers = column(tmp_path, ["true", "false"], kinds={"x": "numeric"})
    assert numbers.features.x.tolist()[::4] == [1.0, 0.0]


def test_booleans_as_categories_are_the_same_from_csv_and_parquet(tmp_path: Path) -> None:
    digests = [
        split(
            load(
                settings(
                    write(mixed_frame(), tmp_path / name),
                    kinds={"member": "categorical", "consent": "categorical"},
                )
            ),
            0.2,
            1,
        )
        for name in ("a.csv", "a.parquet")
    ]
    assert digests[0].sha256 == digests[1].sha256
    assert set(digests[0].table.features.member) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("'x'", "numeric", "Column 'v' cannot be read as numeric (data.kinds): Unable to parse"),
        ("'x'", "date", "Column 'v' cannot be read as date (data.kinds)"),
        ("'x'", "boolean", "it contains 'x', expected true or false"),
        ("x", "boolean", "expected true or false"),
        ("2024", "date", "2024 could mean seconds, days or a year; expected dates"),
        ("DATE '2024-01-01'", "numeric", "it contains dates, expected numbers"),
    ],
)
def test_a_kind_that_does_not_fit_the_values_is_refused(
    tmp_path: Path, value: str, kind: str, message: str
) -> None:
    with pytest.raises(InputError) as refused:
        from_query(tmp_path, f"{value} AS v, x % 2 AS y", kinds={"v": kind})
    assert message in str(refused.value)


def test_a_dropped_column_can_still_be_a_slice(tmp_path: Path) -> None:
    table = mixed_table(tmp_path)
    sliced = load(settings(tmp_path / "mixed.parquet", drop=["city"], slices=["city", "outcome"]))
    assert "city" not in sliced.features
    assert list(sliced.slices) == ["city", "outcome"]
    assert len(sliced.slices) == len(table.features)


def test_a_nested_column_can_be_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column 'n' holds lists"):
        from_query(tmp_path, "[1, 2] AS n, x % 2 AS y")
    assert list(from_query(tmp_path, "[1, 2] AS n, x % 2 AS y", drop=["n"]).features) == ["x"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"target": "outcom"}, "has no column 'outcom' (data.target); did you mean 'outcome'?"),
        ({"drop": ["agee"]}, "has no column 'agee' (data.drop); did you mean 'age'?"),
        ({"slices": ["citi"]}, "has no column 'citi' (data.slices); did you mean 'city'?"),
        ({"kinds": {"qq": "date"}}, "has no column 'qq' (data.kinds); known: age, branch"),
        ({"drop": ["outcome"]}, "'outcome' is the target and stands in data.drop; choose one"),
    ],
)
def test_a_missing_column_is_an_error_with_the_nearest_name(
    tmp_path: Path, named: dict[str, object], message: str
) -> None:
    path = write(mixed_frame(), tmp_path / "a.parquet")
    with pytest.raises(InputError) as refused:
        load(settings(path, **named))  # type: ignore[arg-type]
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * 5, "target 'y' has one class only, 'a'; a classifier needs two"),
        (["1"] * 5, "target 'y' has one class only, 1; a classifier needs two"),
        (["a", "a", "b"], "target 'y' has one row of class 'b'; it needs two, one to learn from"),
        (
            ["a", "b", "c", "d"],
            "has 4 different values in 4 rows; expected classes, each in",
        ),
        (["1.5", "2.5"] * 3, "target 'y' holds 1.5, which is not a whole number"),
        (["1", "inf"] * 3, "target 'y' holds inf, which is not a whole number"),
        (["1", "1e30"] * 3, "which is not a whole number"),
        (["", "NA"], "has no row with a value of 'y'; add some"),
        ([], "has no row with a value of 'y'; add some"),
    ],
)
def test_a_target_that_no_model_can_learn_is_refused(
    tmp_path: Path, labels: list[str], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        labelled(tmp_path, labels)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_with_only_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no column besides 'y', the target"):
        load(settings(write_text(tmp_path / "a.csv", "y\na\nb\na\nb\n"), "y"))


def test_a_column_all_missing_is_refused(tmp_path: Path) -> None:
    message = "every value of column 'x' is missing; fill it or name it under data.drop"
    with pytest.raises(InputError, match=message):
        column(tmp_path, ["", "NA"])
    with pytest.raises(InputError, match="every value of column 'v' is missing"):
        from_query(tmp_path, "'nan'::DOUBLE AS v, x % 2 AS y")


def test_durations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column 'v' holds durations; give them as numbers"):
        from_query(tmp_path, "INTERVAL 1 DAY AS v, x % 2 AS y")


NUMBERS = ["1", "2.5", "-0", "1e5", "inf", "nan", "007", "99999999999999999999"]
DATES = ["2024-01-01", "2024-01-01T00:00:00Z", "31/12/2023", "12:30"]
CELLS = st.sampled_from([*NUMBERS, *DATES, "", "NA", "true", "False", "yes", "x", 'a"b', "é", "  "])


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=3), max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["x,y", "x,y,z", "y", "x,x", "x,X,y", "", "x,y,"]),
)
def test_any_csv_is_read_or_refused(
    tmp_path: Path, rows: list[list[str]], mark: str, header: str
) -> None:
    text = "\n".join([header.replace(",", mark), *(mark.join(row) for row in rows * 2)])
    with suppress(InputError):
        table = load(settings(write_text(tmp_path / "a.csv", text), "y"))
        assert len(split(table, 0.2, 1).in_holdout) == len(table.target)


@pytest.mark.slow
def test_a_million_rows_are_read_and_split_within_a_minute(tmp_path: Path) -> None:
    path = write(mixed_frame(1_000_000), tmp_path / "a.csv")
    assert split(load(settings(path)), 0.2, 42).in_holdout.sum() == 200_001
