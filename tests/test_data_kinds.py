"""Columns that are named because a reader would not expect what they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ratchet.data.dataset import Table, load
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
    assert "'age' is text, since 5 of its 20 values are not numbers, such as 'unknown'" in line
    assert "add them to data.missing" in line
    table = column(tmp_path, "age", cells, missing=["", "unknown"])
    assert table.kinds["age"] == "numeric"
    assert table.features.age.isna().sum() == 5


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
