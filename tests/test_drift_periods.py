"""Periods such as days: the spread between the periods of the reference is not drift."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet.columns import Kind
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.periods import period_spread
from ratchet.errors import InputError
from ratchet.profile.reading import Reading, read_current, read_training
from ratchet.settings import DataSettings, DriftSettings
from ratchet.statistics.period_spread import period_p_value

COLUMNS = ["a", "b", "c", "d"]
KINDS: dict[str, Kind] = {**dict.fromkeys(COLUMNS, "numeric"), "day": "date"}
DATA = DataSettings(source="days.csv", target="outcome")


def rows(rng: np.random.Generator, effects: Any, days: range, per_day: int) -> pd.DataFrame:
    day = np.repeat(np.array(days), per_day)
    frame = pd.DataFrame(rng.normal(size=(len(day), 4)) + effects[day][:, None], columns=COLUMNS)
    return frame.assign(day=pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D"))


def readings(before: pd.DataFrame, now: pd.DataFrame) -> tuple[Reading, Reading]:
    reference = read_training(before, np.resize(["yes", "no"], len(before)), KINDS)
    return reference, read_current(now, DATA, reference.profile)[0]


def check(before: pd.DataFrame, now: pd.DataFrame, time: str | None = "day") -> Drift:
    one, other = readings(before, now)
    limits = DriftSettings(time=time, features=tuple(COLUMNS))
    spread = time and period_spread(time, one.profile, other.profile, one.sample, other.sample)
    return compare(one.profile, other.profile, None, limits, periods=spread or None)


def correlated_days(rng: np.random.Generator, size: float) -> Any:
    effects = [rng.normal()]
    for _ in range(36):
        effects.append(0.9 * effects[-1] + np.sqrt(1 - 0.81) * rng.normal())
    return size * np.array(effects)


def test_the_week_after_a_month_of_correlated_days_alarms_only_if_the_time_is_unknown():
    findings: dict[str | None, list[str]] = {None: [], "day": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        effects = correlated_days(rng, 0.6)
        before, now = rows(rng, effects, range(30), 150), rows(rng, effects, range(30, 37), 200)
        for time, verdicts in findings.items():
            verdicts.append(check(before, now, time).finding)
    assert findings[None].count("drifted") >= 7
    assert findings["day"].count("drifted") == 0


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.95])
def test_the_day_after_a_month_of_correlated_days_has_a_small_p_value_in_at_most_alpha(correlation):
    rng = np.random.default_rng(5)
    small = 0
    for _ in range(1500):
        days = [rng.normal()]
        for _ in range(30):
            days.append(correlation * days[-1] + np.sqrt(1 - correlation**2) * rng.normal())
        before = np.array(days[:30])[:, None]
        p_value = period_p_value(np.array([days[30] - before.mean()]), before, np.arange(30)[::-1])
        small += p_value < 0.01
    assert small <= 22  # 0.01, and two standard errors


def saturdays() -> Any:
    effects = np.zeros(49)
    effects[5::7] = 0.5
    return effects


def test_a_saturday_against_whole_weeks_is_not_drift_and_the_report_prefers_whole_weeks():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        before = rows(rng, saturdays(), range(28), 150)
        one_day = check(before, rows(rng, saturdays(), range(33, 34), 1000))
        assert one_day.finding == "stable"
        assert one_day.periods is not None
        assert "Whole weeks find more" in one_day.periods.sentence
        week = check(before, rows(rng, saturdays(), range(28, 35), 200))
        assert week.finding == "stable"
        assert week.periods is not None
        assert "Whole weeks" not in week.periods.sentence


def test_a_shift_of_columns_that_do_not_vary_between_days_is_still_found():
    drifted = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        effects = np.repeat([0.0, 0.4], [30, 7])
        result = check(rows(rng, effects, range(30), 150), rows(rng, effects, range(30, 37), 200))
        drifted += result.finding == "drifted"
        assert not result.features["day"].drifted  # the time column itself always changes
    assert drifted == 5


def test_a_reference_of_two_days_says_that_it_covers_too_few():
    rng = np.random.default_rng(0)
    result = check(rows(rng, np.zeros(4), range(2), 300), rows(rng, np.zeros(4), range(2, 3), 300))
    assert result.periods is not None
    assert "covers too few days" in result.periods.sentence


def test_a_time_that_is_not_a_date_feature_is_an_error():
    rng = np.random.default_rng(0)
    frame = rows(rng, np.zeros(4), range(3), 100)
    with pytest.raises(InputError, match=r"'dya' \(drift.time\) is not a date .* mean 'day'"):
        check(frame, frame, "dya")
