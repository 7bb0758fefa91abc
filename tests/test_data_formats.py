"""Realistic files: each is read as intended, or one line says what is wrong."""

import gzip
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from ratchet.data import source
from ratchet.data.dataset import load
from ratchet.errors import InputError
from tests.tables import settings, write_text, write_xlsx

EUROPEAN = "Größe;Preis;Ort;Anzahl\n1,5;1.234,50;Köln;7\n2;17;Ulm;8\n-0,25;2.000,00;Ulm;9\n"
PRICES = [1234.5, 17.0, 2000.0]


def read(address: object, **more: object) -> pd.DataFrame:
    return source.read(settings(str(address), "-", **more))


def error_of(address: object, **more: object) -> str:
    with pytest.raises(InputError) as refused:
        read(address, **more)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_csv_with_semicolons_and_decimal_commas_gives_numbers(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_bytes(EUROPEAN.encode(encoding))
    frame = read(tmp_path / "a.csv")
    assert frame["Größe"].tolist() == [1.5, 2.0, -0.25]
    assert frame["Preis"].tolist() == PRICES
    assert frame["Ort"].tolist() == ["Köln", "Ulm", "Ulm"]
    line = capsys.readouterr().out
    assert "a semicolon separates the values" in line
    assert "numbers have a decimal comma, '.' separates thousands (guessed; data.csv" in line
    assert ("the encoding is" in line) == (encoding in ("cp1252", "utf-16"))


def test_a_dialect_in_the_settings_is_neither_guessed_nor_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(EUROPEAN.encode("cp1252"))
    csv = {"separator": ";", "encoding": "cp1252", "decimal": ",", "thousands": "."}
    assert read(path, csv=csv)["Preis"].tolist() == PRICES
    assert capsys.readouterr().out == ""
    as_points = read(path, csv={"decimal": ".", "thousands": ""})
    assert as_points["Größe"].tolist() == ["1,5", "2", "-0,25"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('x,y\n"1,234",a\n"2,000,111",b\n"5.5",c\n', [1234.0, 2000111.0, 5.5]),
        ('x,y\n"1,5",a\n"2,25",b\n"7",c\n', [1.5, 2.25, 7.0]),
        ("x;y\n1,234;a\n2,5;b\n7;c\n", [1.234, 2.5, 7.0]),
        ("x;y\n1.5;a\n2.25;b\n7;c\n", [1.5, 2.25, 7.0]),
        ("x\ty\n1,5\ta, b\n2,25\tc, d\nNA\te\n", [1.5, 2.25, None]),
        ("x;y\n1,5;a\nmany;b\n7;c\n", ["1,5", "many", "7"]),
        ("x, in EUR;y, in kg;z\n1;2;3\n4;5;6\n7;8;9\n", [1, 4, 7]),
    ],
)
def test_the_decimal_sign_is_the_one_that_makes_most_columns_numbers(
    tmp_path: Path, text: str, values: list[object]
) -> None:
    column = read(write_text(tmp_path / "a.csv", text)).iloc[:, 0]
    assert column.astype(object).where(column.notna(), None).tolist() == values


def test_decimal_commas_are_numbers_in_a_column_that_the_settings_call_numeric(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{n},5;{'yes' if n % 2 else 'no'}\n" for n in range(100, 600))
    path = write_text(tmp_path / "a.csv", f"x;y\n{rows}")
    late = write_text(tmp_path / "late.csv", f"x;y\n{rows * 5}1.234,5;yes\n")
    assert load(settings(path, "y")).features.x.iloc[-1] == 599.5
    assert (
        read(late).x.iloc[0] == "100,5"
    )  # the thousands separators are after the rows that are examined
    assert read(late, csv={"thousands": "."}).x.iloc[-1] == 1234.5
    with_a_word = write_text(tmp_path / "word.csv", f"x;y\n{rows}none;yes\n")
    with pytest.raises(InputError, match=r"cannot be read as numeric .* 'none'"):
        load(settings(with_a_word, "y", kinds={"x": "numeric"}))


def test_encodings_are_found_after_the_first_megabyte_too(tmp_path: Path) -> None:
    text = "name,b\n" + "plain,1\n" * 200_000 + "José,2\n"
    (tmp_path / "a.csv").write_bytes(text.encode("cp1252"))
    assert read(tmp_path / "a.csv").name.iloc[-1] == "José"


def test_latin_1_and_decimal_commas_inside_gzip_and_zip(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(EUROPEAN.encode("latin-1")))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/a.csv", EUROPEAN.encode("latin-1"))
        archive.writestr("__MACOSX/folder/._a.csv", b"\0")
    for name in ("a.csv.gz", "a.zip"):
        assert read(tmp_path / name)["Preis"].tolist() == PRICES


def test_a_zip_must_hold_one_file_or_the_parts_of_one_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "parts.zip", "w") as archive:
        archive.writestr("1.csv", "a,b\n1,2\n")
        archive.writestr("2.csv", "a,b\n3,4\n")
    assert sorted(read(tmp_path / "parts.zip").a) == [1, 3]
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("1.csv", "a,b\n1,2\n")
        archive.writestr("readme.txt", "hello")
    assert "two.zip holds 1.csv, readme.txt; expected one file" in error_of(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    assert "none.zip holds nothing; expected one file" in error_of(tmp_path / "none.zip")
    (tmp_path / "no.zip").write_bytes(b"a,b\n1,2\n")
    assert "no.zip cannot be unpacked: File is not a zip file" in error_of(tmp_path / "no.zip")


def test_an_error_in_a_zip_names_the_file_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", b"\x89PNG\0\0")
    assert error_of(tmp_path / "a.zip").startswith("a.zip/a.csv is not CSV")


def test_a_spreadsheet_is_read_from_its_first_sheet_or_the_one_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ["size", "city", "free", None, "mixed"],
        [1.5, "Köln", True, 1, 7],
        [2, "NA", False, 2, "seven"],
        [None, "Ulm", True, 3, None],
    ]
    path = write_xlsx(tmp_path / "a.xlsx", data=rows, notes=[["z"], [1]])
    frame = read(path)
    assert "sheet 'data' is read, not notes (data.sheet changes it)" in capsys.readouterr().out
    assert list(frame) == ["size", "city", "free", "unnamed_4", "mixed"]
    assert frame["size"].tolist()[:2] == [1.5, 2.0]
    assert frame["city"].isna().tolist() == [False, True, False]
    assert frame["free"].tolist() == [True, False, True]
    assert frame["mixed"].tolist()[:2] == ["7", "seven"]
    assert read(path, sheet="notes").to_dict("list") == {"z": [1]}
    assert "has no sheet 'x' (data.sheet); its sheets: data, notes" in error_of(path, sheet="x")


def test_a_spreadsheet_that_is_broken_or_empty_is_refused(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.xlsx", "a,b\n1,2\n")
    assert "a.xlsx cannot be read as a spreadsheet: " in error_of(path)
    path = write_xlsx(tmp_path / "b.xlsx", data=[])
    assert "sheet 'data' is empty; expected a header and rows" in error_of(path)
    path = write_xlsx(tmp_path / "c.xlsx", data=[["a", "a"], [1, 2]])
    assert "has two columns named 'a'" in error_of(path)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz"])
def test_json_records_are_read_as_a_list_or_one_a_line(tmp_path: Path, name: str) -> None:
    records = [{"a": 1, "b": "x", "m": 1}, {"a": 2.5, "b": None, "m": "two"}, {"a": None}]
    lines = "\n".join(json.dumps(record) for record in records)
    text = lines if name == "a.jsonl" else json.dumps(records)
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    frame = read(tmp_path / name)
    assert list(frame) == ["a", "b", "m"]
    assert frame.a.tolist()[:2] == [1.0, 2.5]
    assert frame.b.isna().tolist() == [False, True, True]
    assert frame.m.tolist()[:2] == ["1", "two"]


def test_json_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    nested = write_text(tmp_path / "a.json", '[{"a": {"b": 1}}, {"a": {"b": 2}}]')
    assert "column 'a' holds structs, expected one value a row" in error_of(nested)
    broken = write_text(tmp_path / "b.json", '[{"a": 1}, {"a": ')
    assert "cannot be read as JSON records, as its name says" in error_of(broken)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_text(tmp_path / "a.csv", "a,b\n1,2\n")
    assert len(read("~/a.csv")) == 1
    assert len(read("~/*.csv")) == 1
    assert "No file at '~/b.csv'" in error_of("~/b.csv")
    assert "~nobody-of-that-name/b.csv" in error_of("~nobody-of-that-name/b.csv")
