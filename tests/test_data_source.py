import functools
import gzip
import http.server
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from ratchet.data import files, source
from ratchet.errors import InputError
from tests.tables import mixed_frame, settings, write, write_text

ROWS = "a,b\n1,x\n2,y\n"


def read(address: object, **more: object) -> pd.DataFrame:
    return source.read(settings(str(address), "-", **more))


def error_of(address: object, **more: object) -> str:
    with pytest.raises(InputError) as refused:
        read(address, **more)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Start a web server without ranges and modification times, the minimum that is supported."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "shape"), [("iris", (150, 5)), ("wine", (178, 14)), ("digits", (1797, 65))]
)
def test_a_toy_is_read_by_its_name(name: str, shape: tuple[int, int]) -> None:
    assert read(name).shape == shape


def test_a_toy_has_plain_column_names_and_named_classes() -> None:
    iris = read("iris")
    assert list(iris)[:2] == ["sepal_length", "sepal_width"]
    assert list(iris.target.unique()) == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_detected(tmp_path: Path, mark: str) -> None:
    frame = read(write_text(tmp_path / "a.csv", ROWS.replace(",", mark)))
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_one_column_quotes_blank_lines_and_windows_line_ends_are_csv(tmp_path: Path) -> None:
    for text in ("a\n1\n2\n", "\ufeffa\n1\n2\n"):
        assert list(read(write_text(tmp_path / "a.csv", text)).a) == [1, 2]
    text = '"a, b","c ""d"""\r\n"two\nlines",1\r\n\r\n"x",2\r\n'
    path = tmp_path / "b.csv"
    path.write_bytes(text.encode())
    frame = read(path)
    assert frame.to_dict("list") == {"a, b": ["two\nlines", "x"], 'c "d"': [1, 2]}


def test_gzip_is_read_and_a_broken_one_refused(tmp_path: Path) -> None:
    packed = gzip.compress(ROWS.encode() * 1)
    for name, content in [("a", packed), ("cut", packed[:-9]), ("plain", ROWS.encode())]:
        (tmp_path / f"{name}.csv.gz").write_bytes(content)
    assert len(read(tmp_path / "a.csv.gz")) == 2
    assert "cannot be opened: Compressed file ended" in error_of(tmp_path / "cut.csv.gz")
    assert "cannot be opened: Not a gzipped file" in error_of(tmp_path / "plain.csv.gz")


def test_columns_that_differ_in_case_only_keep_their_names(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "Age,age,AGE\n1,2,3\n")
    assert read(path).to_dict("list") == {"Age": [1], "age": [2], "AGE": [3]}
    _parquet(tmp_path / "a.parquet", "SELECT 1 AS id, {'id': 2} AS inner")
    assert list(read(tmp_path / "a.parquet", drop=["inner"])) == ["id", "inner"]


def _parquet(path: Path, query: str) -> Path:
    import duckdb

    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def test_a_glob_reads_several_files(tmp_path: Path) -> None:
    for part in (1, 2):
        write_text(tmp_path / f"part-{part}.csv", ROWS)
        _parquet(tmp_path / f"part-{part}.parquet", f"SELECT {part} AS a, 'x' AS b")
    assert len(read(f"{tmp_path}/part-*.csv")) == 4
    assert sorted(read(f"{tmp_path}/part-?.parquet").a) == [1, 2]
    assert len(read(f"{tmp_path}/*-[12].csv")) == 4


def test_files_of_a_glob_with_different_columns_are_refused(tmp_path: Path) -> None:
    """Matching columns by position would read `b,a` as `a,b`."""
    write_text(tmp_path / "1.csv", ROWS)
    write_text(tmp_path / "2.csv", "b,a\nx,1\n")
    assert "2.csv has the columns b, a; expected those of" in error_of(tmp_path / "*.csv")
    _parquet(tmp_path / "1.parquet", "SELECT 1 AS a")
    _parquet(tmp_path / "2.parquet", "SELECT 1 AS z")
    assert "cannot be read as Parquet" in error_of(tmp_path / "*.parquet")


def test_the_folder_names_of_a_partition_become_a_column(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        _parquet(tmp_path / f"year={year}" / "a.parquet", "SELECT 'x' AS b")
    assert sorted(read(f"{tmp_path}/*/*.parquet").year) == [2023, 2024]
    assert sorted(read(f"file://{tmp_path}/*/*.parquet").year) == [2023, 2024]


def test_an_fsspec_address_is_read(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", ROWS)
    memory = fsspec.filesystem("memory")
    memory.pipe("/shop/a.csv", ROWS.encode())
    memory.pipe("/shop/b.csv", ROWS.encode())
    memory.pipe("/shop/empty/a.csv", b"")
    assert len(read(f"file://{path}")) == 2
    assert len(read("memory://shop/a.csv")) == 2
    assert len(read("memory://shop/*.csv")) == 4
    assert error_of("memory://shop/empty/a.csv").startswith("memory://shop/empty/a.csv is empty")


def test_an_address_on_the_web_is_read(tmp_path: Path, web: str) -> None:
    write_text(tmp_path / "a.csv", ROWS)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    _parquet(tmp_path / "c.parquet", "SELECT range AS a, 'x' AS b FROM range(100000)")
    assert len(read(f"{web}/a.csv")) == 2
    assert len(read(f"{web}/a.csv?version=3")) == 2
    assert len(read(f"{web}/b.csv.gz")) == 2
    assert len(read(f"{web}/c.parquet")) == 100_000
    assert error_of(f"{web}/no.csv").startswith(f"'{web}/no.csv' (data.source) does not answer")


def test_an_error_in_a_fetched_file_names_its_address(tmp_path: Path, web: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\0\0")
    message = error_of(f"{web}/a.csv")
    assert (
        message == f"{web}/a.csv is not CSV: it holds bytes that are not text; is its name right?"
    )


def test_an_address_that_does_not_answer_is_refused_within_seconds() -> None:
    began = time.monotonic()
    message = error_of("http://127.0.0.1:9/x.csv")
    assert "'http://127.0.0.1:9/x.csv' (data.source) does not answer" in message
    assert message.endswith("is the address right?")
    assert time.monotonic() - began < 5


def test_an_address_that_accepts_the_connection_but_never_answers_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        message = error_of(f"http://127.0.0.1:{silent.getsockname()[1]}/x.csv")
    assert "does not answer: no answer within 1 seconds" in message
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nope://x/y.csv", "does not answer: Protocol not known: nope"),
        ("memory://none.csv", "does not answer: no such file"),
        ("memory://none/*.csv", "No file at 'memory://none/*.csv'"),
        ("file:///none.csv", "does not answer: no such file"),
        ("none.csv", "No file at 'none.csv' (data.source); is the path right?"),
        ("none/*.csv", "No file at"),
        ("irys", "did you mean 'iris'?"),
        ("", "No file at ''"),
        (
            ".",
            "No file at '.' (data.source); it is a folder. Name the files in it, such as '*.csv'",
        ),
        ("\0", "No file at"),
        ("a\nb", "No file at 'a b'"),
        ("**x", "is not a path"),
        ("/" + "x" * 5000, "is not a path"),
        ("://", "does not answer"),
        ("http://", "does not answer"),
        ("zip://x.csv::none.zip", "does not answer"),
    ],
)
def test_a_source_without_files_is_an_error(address: str, message: str) -> None:
    assert message in error_of(address)


def test_a_misspelt_file_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    write_text(tmp_path / "customers.csv", "a,b\n1,2\n")
    message = f"(data.source); did you mean '{tmp_path}/customers.csv'?"
    assert message in error_of(tmp_path / "custmers.csv")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert error_of(write_text(tmp_path / "a.csv", "")).endswith("expected a header and rows")
    assert "is empty" in error_of(write_text(tmp_path / "a.parquet", ""))
    assert "begins with an empty line" in error_of(write_text(tmp_path / "b.csv", "\n\na,b\n1,2\n"))


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    no_csv = "is not CSV: it holds bytes that are not text; is its name right?"
    (tmp_path / "png.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01")
    with zipfile.ZipFile(tmp_path / "zip.csv", "w") as archive:
        archive.writestr("a.csv", ROWS)
    _parquet(tmp_path / "right.parquet", "SELECT 1 AS a").rename(tmp_path / "parquet.csv")
    for name in ("png.csv", "zip.csv", "parquet.csv"):
        assert error_of(tmp_path / name) == f"{tmp_path / name} {no_csv}"
    message = error_of(write_text(tmp_path / "csv.parquet", ROWS * 9))
    assert "cannot be read as Parquet, as its name says" in message


def test_a_csv_in_another_encoding_than_the_settings_say_is_refused_with_the_position(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.csv").write_bytes("name,b\nJosé,1\n".encode("latin-1"))
    message = error_of(tmp_path / "a.csv", csv={"encoding": "utf-8"})
    assert "a.csv cannot be read as text in utf-8: " in message
    assert "position 10" in message
    assert message.endswith("Set data.csv.encoding, or save the file as UTF-8")
    assert "unknown encoding: klingon" in error_of(tmp_path / "a.csv", csv={"encoding": "klingon"})


@pytest.mark.parametrize("more", [1, 3000])
def test_a_row_that_is_too_long_or_too_short_is_named(tmp_path: Path, more: int) -> None:
    long = error_of(write_text(tmp_path / "long.csv", "a,b\n" + "1,2\n" * more + "1,2,3\n"))
    short = error_of(write_text(tmp_path / "short.csv", "a,b\n" + "1,2\n" * more + "1\n"))
    assert "cannot be read as CSV" in long
    assert str(more + 2) in long
    assert str(more + 2) in short


def test_a_quote_that_does_not_close_is_refused(tmp_path: Path) -> None:
    assert "cannot be read as CSV" in error_of(write_text(tmp_path / "a.csv", 'a,b\n"x,1\ny,2\n'))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    message = "has two columns named 'a'; rename one of them"
    assert error_of(write_text(tmp_path / "a.csv", "a,b,a\n1,2,3\n")).endswith(message)
    assert list(read(write_text(tmp_path / "b.csv", ",,a\n1,2,3\n"))) == [
        "unnamed_1",
        "unnamed_2",
        "a",
    ]
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(twice, tmp_path / "a.parquet")
    assert error_of(tmp_path / "a.parquet").endswith(message)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("[1, 2]", "list"), ("{'x': 1}", "struct"), ("MAP {'x': 1}", "map"), ("'x'::BLOB", "blob")],
)
def test_a_nested_column_is_refused_unless_it_is_dropped(
    tmp_path: Path, value: str, kind: str
) -> None:
    path = _parquet(tmp_path / "a.parquet", f"SELECT 1 AS a, {value} AS n")
    assert f"column 'n' holds {kind}s, expected one value a row" in error_of(path)
    assert list(read(path, drop=["n"]).a) == [1]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_read_through_arrow_equals_the_table_from_duckdb(
    tmp_path: Path, suffix: str
) -> None:
    path = str(write(mixed_frame(), tmp_path / f"a.{suffix}"))
    with source.opened(path, settings(path)) as rows:
        assert set(rows.types) <= source.SAME_IN_ARROW
        expected = rows.relation.df()
    frame = read(path)
    frame["consent"] = frame["consent"].astype(
        expected["consent"].dtype
    )  # booleans with missing values
    pd.testing.assert_frame_equal(frame, expected)
