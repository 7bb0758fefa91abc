"""The requests of one A/B test, and the units that they form.

A unit is a user, or a request if `promotion.unit` says so. With `window_days` above 0 the outcome
of a user is the mean over the labelled requests of a closed window: it starts with the user's
first request and ends after `window_days`, or when the split changes. With 0 it is the outcome of
the user's first labelled request. A unit counts after its window and the maturity of its labels,
so later rows never change it and the sequence of units only grows at its end.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Codes, Floats

SECONDS_WITH_REQUEST = 60.0  # a label that comes later did not come with its request
DAY, HOUR = 86_400.0, 3600.0


@dataclass(frozen=True)
class Grouped:
    """Rows of the log and the unit of each; units are numbered in the order in which they count."""

    rows: Codes
    unit: Codes

    @property
    def first_rows(self) -> Codes:
        """Return the first row of each unit."""
        return self.rows[np.unique(self.unit, return_index=True)[1]]

    def mean(self, values: Floats) -> Floats:
        """Return the mean of each unit, from one value per row."""
        return np.bincount(self.unit, values) / np.maximum(1, np.bincount(self.unit))


@dataclass(frozen=True)
class Requests:
    log: pd.DataFrame
    arm_b: Bools
    split: Floats
    user: Codes
    failed: Bools
    late: Bools  # labelled after its unit was counted
    has_label: Bools  # in time
    first: Codes  # the first request of each user
    due: Grouped  # all requests of the units that are old enough
    labelled: Grouped  # those of them that count for the outcome
    closes: Floats  # the time when the unit of each row is counted

    @property
    def answered(self) -> Codes:
        """Return the rows for which both versions' answers are useful."""
        return np.union1d(self.due.rows, self.labelled.rows)

    def starts(self, unit: str) -> Codes:
        """Return the first request of each unit that counts."""
        rows = self.answered
        return rows if unit == "request" else np.unique(self.first[self.user[rows]])


def requests_of(log: pd.DataFrame, settings: PromotionSettings, now: float) -> Requests:
    """Read the rows of one test, in the order of the requests.

    Rows with a split of 0 or 1 test nothing.
    """
    tests = (log["split"] > 0) & (log["split"] < 1)
    log = log if tests.all() else log[tests].reset_index(drop=True)  # a copy doubles the memory
    time = log["time"].to_numpy(dtype=float)
    arm_b = (log["assigned_arm"] == "B").to_numpy()
    split = log["split"].to_numpy(dtype=float)
    user = pd.factorize(log["user_id"])[0]
    by_user = settings.unit == "user"
    window = settings.window_days * DAY if by_user else 0.0
    maturity = settings.maturity_hours * HOUR
    first = _first_of_each(user, np.arange(len(log)))
    start = time[first][user] if window else time
    closes = start + window + maturity
    label_time = log["label_time"].to_numpy(dtype=float)
    is_labelled = log["label"].notna().to_numpy()
    waits = window + maturity > 0
    late = is_labelled & (label_time > (closes if waits else closes + SECONDS_WITH_REQUEST))
    matured = closes <= now
    has_label = is_labelled & matured & ~(late if waits else np.zeros_like(late))
    if window:
        origin = first[user]
        same_test = (split == split[origin]) & (arm_b == arm_b[origin])
        counts = matured & (time <= start + window) & same_test
        due = _grouped(np.flatnonzero(counts), user)
        labelled = _grouped(np.flatnonzero(counts & has_label), user)
    else:
        due, labelled = (
            _one_row_each(rows if not by_user else _first_of_each(user, rows))
            for rows in (np.flatnonzero(matured), np.flatnonzero(has_label))
        )
    return Requests(
        log=log,
        arm_b=arm_b,
        split=split,
        user=user,
        failed=(log["error"].notna() | log["fallback"].astype(bool)).to_numpy(),
        late=late & matured,
        has_label=has_label,
        first=first,
        due=due,
        labelled=labelled,
        closes=closes,
    )


def _first_of_each(user: Codes, rows: Codes) -> Codes:
    return rows[~pd.Series(user[rows]).duplicated().to_numpy()]


def _grouped(rows: Codes, user: Codes) -> Grouped:
    """Number the units in the order of their first requests, which is that of their closing."""
    return Grouped(rows, np.unique(user[rows], return_inverse=True)[1])


def _one_row_each(rows: Codes) -> Grouped:
    return Grouped(rows, np.arange(len(rows)))
