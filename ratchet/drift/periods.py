"""The spread between the periods of a reference, which belongs to "nothing changed".

Days differ: weekdays, weather, campaigns. If a feature varies between the days of the reference, it
has drifted only if its shift is also larger than the shifts between periods of the reference that
are as long as the current data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ratchet.drift.joint import bin_functions, mean_of
from ratchet.errors import InputError, nearest
from ratchet.profile.profile import Profile
from ratchet.statistics.period_spread import period_p_value, varies_between_days

if TYPE_CHECKING:
    import pyarrow

DAY = 24 * 3600.0
MIN_PERIODS = 3


@dataclass(frozen=True)
class PeriodSpread:
    """P-values of "the shift is one of those between periods", for features that vary by day."""

    time: str  # the feature that holds the time; it moves on, and is not judged
    reference_days: int
    current_days: int
    p_values: Mapping[str, float]
    joint: float

    @property
    def sentence(self) -> str:
        text = (
            f"the reference covers {self.reference_days} days and the current data"
            f" {self.current_days}; {len(self.p_values)} features vary between days, and only a"
            " larger change than between periods of the reference counts for them"
        )
        if self.reference_days < MIN_PERIODS:
            return f"the reference covers too few days to know how much days differ ({self.time})"
        if self.current_days % 7:
            text += ". Whole weeks find more: weekdays then cancel out"
        return text


def period_spread(
    time: str,
    reference: Profile,
    current: Profile,
    sample: "pyarrow.Table",
    current_sample: "pyarrow.Table",
) -> PeriodSpread:
    counts = reference.features.get(time)
    if counts is None or counts.kind != "date":
        dates = [name for name, one in reference.features.items() if one.kind == "date"]
        raise InputError(
            f"'{time}' (drift.time) is not a date among the model's features;"
            f" {nearest(time, dates) if dates else 'it has none: unset drift.time'}"
        )
    days, current_days = _days(sample, time), _number_of_days(current_sample, time)
    dated = np.isfinite(days)
    days = days[dated].astype(int)
    reference_days = len(np.unique(days))
    if reference_days < MIN_PERIODS:
        return PeriodSpread(time, reference_days, current_days, {}, 0.0)
    length = max(1, min(current_days, (days.max() - days.min() + 1) // MIN_PERIODS))
    blocks = (days.max() - days) // length  # the last period is whole; the first may be shorter
    p_values, values, shifts = {}, [], []
    for name, before in reference.features.items():
        now = current.features[name]
        functions = bin_functions(before)
        if name == time or not functions.shape[1] or not now.rows:
            continue
        rows = functions[before.bins.index(sample.column(name).combine_chunks())][dated]
        shift = mean_of(now, functions) - mean_of(before, functions)
        values.append(rows)
        shifts.append(shift)
        if varies_between_days(rows, days):
            p_values[name] = period_p_value(shift, rows, blocks)
    joint = 0.0
    if p_values:
        joint = period_p_value(np.concatenate(shifts), np.hstack(values), blocks)
    return PeriodSpread(time, reference_days, current_days, p_values, joint)


def _days(sample: "pyarrow.Table", time: str) -> np.ndarray:
    seconds: np.ndarray = sample.column(time).to_numpy().astype(float)
    return np.floor(seconds / DAY)


def _number_of_days(sample: "pyarrow.Table", time: str) -> int:
    days = _days(sample, time)
    days = days[np.isfinite(days)]
    return int(days.max() - days.min() + 1) if len(days) else 1
