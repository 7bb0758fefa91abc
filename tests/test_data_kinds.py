"""Columns that are named because a reader would not expect what they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ratchet.data.dataset import Table, load
from ratchet.errors import InputError
from tests.tables import settings, write_text


def column(folder: Path, name: str, cells: Sequence[str], **more: object) -> Table:
    rows = "".join(f'"{cell}",{place % 3},{place % 2}\n' for place, cell in enumerate(cells))
    return load(
        settings(write_text(folder / f"{len(cells)}.csv", f"{name},z,y\n{rows}"), "y", **more)
    )


def test_a_text_that_is_a_number_in_most_rows_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["1", "2.5", "unknown", "3"] * 5
    table = column(tmp_path, "age", cells)
    assert table.kinds["age"] == "categorical"
    line = capsys.readouterr().out
    assert "'age' is text; 5 of its 20 values are not numbers, such as 'unknown'" in line
    assert "add them to data.missing" in line
    table = column(tmp_path, "age", cells, missing=["", "unknown"])
    assert table.kinds["age"] == "numeric"
    assert table.features.age.isna().sum() == 5


def test_many_numbers_with_a_dash_for_a_missing_value_are_not_taken_for_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["-" if number % 9 == 0 else str(number) for number in range(60)]
    assert list(column(tmp_path, "dose", cells).kinds) == ["z"]
    line = capsys.readouterr().out
    assert "'dose' is left out" in line
    assert "7 of its 60 values are not numbers, such as '-'" in line
    assert "free text" not in line
    assert column(tmp_path, "dose", cells, missing=["-"]).kinds["dose"] == "numeric"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("{}%", "its values are numbers with a sign, such as '0%'. Write plain numbers"),
        ("$ {}.50", "its values are numbers with a sign, such as '$ 0.50'. Write plain numbers"),
        ("01/05/20{:02d} 03:00 PM", "look like dates. To use it as a date, set data.kinds to {x: "),
    ],
)
def test_a_text_that_looks_like_numbers_or_dates_is_named(
    tmp_path: Path, cell: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    column(tmp_path, "x", [cell.format(number) for number in range(30)])
    assert message in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["{}:30", "AB-{}", "+49 30 10{}"])
def test_times_codes_and_telephone_numbers_are_plain_text(
    tmp_path: Path, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    column(tmp_path, "x", [cell.format(number) for number in range(24)])
    assert "left out as ids or free text" in capsys.readouterr().out


def test_a_comma_at_the_end_of_each_line_adds_no_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{number % 7},{number % 2},\n" for number in range(20))
    table = load(settings(write_text(tmp_path / "a.csv", f"x,y,\n{rows}"), "y"))
    assert list(table.kinds) == ["x"]
    assert "'unnamed_3' has no name and no values, and is left out" in capsys.readouterr().out


def test_a_title_above_the_header_is_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "Sales in 2024\n" + "x,y\n" + "1,a\n2,b\n" * 9)
    with pytest.raises(InputError, match="Delete the lines above the header"):
        load(settings(path, "y"))


def test_a_text_of_words_with_few_numbers_is_not_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert column(tmp_path, "word", ["a", "b", "1", "c"] * 6).kinds["word"] == "categorical"
    assert "'word'" not in capsys.readouterr().out


def test_row_numbers_without_a_name_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = column(tmp_path, "", [str(number) for number in range(28)])
    assert list(table.kinds) == ["z"]
    assert "'unnamed_1' numbers the rows and is left out" in capsys.readouterr().out
    repeated = column(tmp_path, "", [str(number // 2) for number in range(30)])
    assert list(repeated.kinds) == ["unnamed_1", "z"]
