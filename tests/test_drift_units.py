"""Units such as users: their rows are alike, so each unit counts once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.drift.comparison import compare
from ratchet.errors import InputError
from ratchet.profile.reading import read_current, read_reference
from ratchet.settings import DataSettings, DriftSettings

DATA = DataSettings(source="visits.csv", target="outcome")


def visits(seed: int, users: int, per_user: int, shift: float = 0.0) -> pd.DataFrame:
    """Return rows with four columns that are fixed for a user, and four that vary."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), per_user)
    fixed = rng.normal(shift, size=(users, 4))[user]
    values = np.hstack([fixed, rng.normal(size=(len(user), 4))])
    frame = pd.DataFrame(values, columns=list("abcdefgh"))
    return frame.assign(user=[f"u{one}" for one in user])


def finding(folder: Path, reference: pd.DataFrame, current: pd.DataFrame, unit: str | None) -> str:
    files = [str(folder / name) for name in ("before.parquet", "now.parquet")]
    for file, frame in zip(files, (reference, current), strict=True):
        frame.to_parquet(file)
    data = DATA if unit else DATA.model_copy(update={"drop": ("user",)})
    before = read_reference(files[0], data, unit).profile
    now, schema = read_current(files[1], data, before, unit)
    assert list(before.features) == list("abcdefgh")
    assert schema.extra == []
    return compare(before, now.profile, None, DriftSettings()).finding


def test_many_rows_of_few_users_alarm_only_if_each_row_counts(tmp_path: Path):
    findings = {
        unit: [
            finding(tmp_path, visits(2 * s, 4000, 1), visits(2 * s + 1, 200, 20), unit)
            for s in range(10)
        ]
        for unit in (None, "user")
    }
    assert findings[None].count("drifted") >= 5
    assert findings["user"].count("drifted") == 0


def test_a_shift_of_the_users_themselves_is_drift(tmp_path: Path):
    before, now = visits(0, 4000, 1), visits(1, 500, 20, shift=0.5)
    assert finding(tmp_path, before, now, "user") == "drifted"


def test_few_users_are_few_rows_even_with_many_requests(tmp_path: Path):
    before, now = visits(0, 4000, 1), visits(1, 50, 100)
    assert finding(tmp_path, before, now, "user") == "insufficient"


def test_a_unit_that_is_not_a_column_is_an_error(tmp_path: Path):
    expected = r"has no column 'usr' \(drift.unit\); did you mean 'user'"
    with pytest.raises(InputError, match=expected):
        finding(tmp_path, visits(0, 200, 1), visits(1, 200, 1), "usr")
