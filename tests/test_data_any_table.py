"""Property tests: any table gives a split or an InputError of one line."""

import json
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ratchet.data.split import load_split
from ratchet.errors import InputError
from tests.tables import settings

MANY = hypothesis.settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = st.one_of(
    st.sampled_from(
        ["self", "index", "(target)", "", " ", "a b", "a.b", "[x]", "ü", "None", "1.5"]
    ),
    st.text(max_size=12),
)
NUMBERS = [
    "1",
    "2.5",
    "-0",
    "1e5",
    "1e999",
    "inf",
    "-inf",
    "nan",
    "007",
    "9" * 20,
    "1,5",
    "1.234,5",
]
DATES = ["2024-01-01", "2024-01-01T00:00:00Z", "31/12/2023", "31.12.2023", "12:30", "0001-01-01"]
WORDS = [
    "",
    "NA",
    "true",
    "False",
    "yes",
    "Yes",
    "yes ",
    "x",
    'a"b',
    "é",
    "  ",
    "a\nb",
    "a;b",
    "\t",
]
CELLS = st.one_of(st.sampled_from([*NUMBERS, *DATES, *WORDS]), st.text(max_size=8))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(WORDS),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.binary(max_size=3),
    st.decimals(),
    st.text(max_size=8),
    st.lists(st.integers(0, 3), max_size=2),
)


def ends_well(path: Path, **more: Any) -> None:
    """Fail on any exception other than an InputError, and on a split that is not valid."""
    try:
        split = load_split(settings(path, "y", **more))
    except InputError as error:
        hypothesis.event("refused")
        lines = str(error).splitlines()
        assert len(lines) == 1, lines
        return
    hypothesis.event("split")
    table = split.table
    assert len(split.in_holdout) == len(table.target) == len(table.features)
    assert list(table.features) == list(table.kinds)
    assert set(split.train[1]) == set(split.holdout[1]) == set(table.classes)


def quoted(cell: str, separator: str) -> str:
    if any(sign in cell for sign in (separator, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


@MANY
@given(
    st.lists(NAMES, max_size=4),
    st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=10),
    st.one_of(st.just(["a", "b"]), st.lists(CELLS, min_size=1, max_size=4)),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]),
    st.sampled_from([{}, {"merge_labels": True}, {"merge_labels": False}, {"missing": []}]),
)
def test_any_csv_ends_in_a_split_or_an_input_error(
    tmp_path: Path,
    names: list[str],
    rows: list[list[str]],
    labels: list[str],
    separator: str,
    encoding: str,
    more: dict[str, Any],
) -> None:
    targets = [labels[place % len(labels)] for place in range(3 * len(rows))]
    cells = [[*row[: len(names)], y] for row, y in zip(rows * 3, targets, strict=True)]
    table = [[*names, "y"], *cells]
    lines = [separator.join(quoted(cell, separator) for cell in row) for row in table]
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(lines).encode(encoding, errors="replace"))
    ends_well(path, **more)


@MANY
@given(
    st.binary(max_size=200), st.sampled_from(["csv", "csv.gz", "parquet", "xlsx", "zip", "json"])
)
def test_any_bytes_end_in_an_input_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"x,y\n" + content)
    ends_well(path)


@MANY
@given(
    st.lists(NAMES, min_size=1, max_size=3, unique=True),
    st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=6),
    st.sampled_from(["parquet", "json"]),
)
def test_any_data_frame_ends_in_a_split_or_an_input_error(
    tmp_path: Path, names: list[str], columns: list[list[Any]], suffix: str
) -> None:
    names = [name for name in names if name != "y"]
    frame = pd.DataFrame(dict(zip(names, columns, strict=False)))
    frame["y"] = np.arange(4) % 2
    path = tmp_path / f"a.{suffix}"
    if suffix == "json":
        records = frame.astype(object).to_dict("records")
        path.write_text(json.dumps(records, default=str), encoding="utf-8")
    else:
        try:
            frame.to_parquet(path, index=False)
        except Exception:  # Parquet has no type for a column
            frame.map(str).to_parquet(path, index=False)
    ends_well(path)
