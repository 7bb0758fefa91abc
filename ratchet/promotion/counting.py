"""From the rows of a prediction log to a Trial: who counts, once, and in which order.

A unit is a user's first matured labelled request. Whether a label came in time does not change
once its request is matured, so the row of units only ever grows at its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ratchet.promotion.evidence import Answers, Units, evidence_of, log_e_worse, outcome
from ratchet.promotion.trial import Arm, Slice, Trial
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Codes, Floats
from ratchet.statistics.betting import betting, randomised
from ratchet.statistics.intervals import mean_interval
from ratchet.statistics.sample_ratio import sample_ratio_log_e

AT_ONCE = 60.0  # seconds: a label that comes later does not come with its request
MOST_VALUES = 20  # of a column that slices; a number with more is cut at its quartiles


@dataclass(frozen=True)
class Requests:
    """Column by column; `first`, `due` and `units` are positions of each user's request that is
    the first, the first matured and the first that is matured and labelled in time."""

    log: pd.DataFrame
    arm_b: Bools
    split: Floats
    user: Codes
    failed: Bools
    matured: Bools
    late: Bools
    labelled: Bools
    first: Codes
    due: Codes
    units: Codes


def requests_of(log: pd.DataFrame, settings: PromotionSettings, now: float) -> Requests:
    """`log`: the rows of one test, in their order. Where the split is 0 or 1 nothing is tested."""
    log = log[(log["split"] > 0) & (log["split"] < 1)].reset_index(drop=True)
    user = pd.factorize(log["user_id"])[0]
    has_label = log["label"].notna().to_numpy()
    maturity = settings.maturity_hours * 3600
    matured = (log["time"] <= now - maturity).to_numpy()
    late = has_label & (log["label_time"] > log["time"] + (maturity or AT_ONCE)).to_numpy()
    labelled = has_label & matured & ~(late if maturity else np.zeros_like(late))
    units = np.flatnonzero(labelled)
    return Requests(
        log=log,
        arm_b=(log["assigned_arm"] == "B").to_numpy(),
        split=log["split"].to_numpy(dtype=float),
        user=user,
        failed=(log["error"].notna() | log["fallback"].astype(bool)).to_numpy(),
        matured=matured,
        late=late & matured,
        labelled=labelled,
        first=_first_of_each(user, np.arange(len(log))),
        due=_first_of_each(user, np.flatnonzero(matured)),
        units=units if settings.unit == "request" else _first_of_each(user, units),
    )


def _first_of_each(user: Codes, rows: Codes) -> Codes:
    return rows[~pd.Series(user[rows]).duplicated().to_numpy()]


def trial_of(
    requests: Requests, answers: Answers, settings: PromotionSettings, now: float,
    slices: Sequence[str] = (),
) -> Trial:  # fmt: skip
    units = _units(requests, answers, settings)
    evidence = evidence_of(units, len(requests.first), settings)
    first, due, arm_b, split = requests.first, requests.due, requests.arm_b, requests.split
    covered = requests.labelled[due].astype(float)
    fine = (~requests.failed[first]).astype(float)
    guard = settings.guardrails.error_rate
    return Trial(
        a=_arm(requests, units, answers.prod_version, settings, staging=False),
        b=_arm(requests, units, answers.staging_version, settings, staging=True),
        evidence=evidence,
        window=(float(requests.log["time"].min()) if len(first) else now, now),
        splits=_splits(arm_b[first], split[first]),
        sample_ratio_log_e=_ratio_log_e(arm_b[first], split[first]),
        labelled_ratio_log_e=_ratio_log_e(arm_b[requests.units], split[requests.units]),
        coverage_log_e=_unequal_log_e(covered, arm_b[due], split[due], settings.mde),
        switched_users=_switched(requests),
        late_labels=_late_share(requests),
        error_log_e=log_e_worse(fine, arm_b[first], split[first], -guard, settings.mde),
        slices=_slices(requests.log.iloc[requests.units], units, slices, settings),
    )


def _units(requests: Requests, answers: Answers, settings: PromotionSettings) -> Units:
    rows = requests.log.iloc[requests.units]
    given = outcome(rows["prediction"], rows["label"], settings.costs)
    if settings.method == "ab":  # promoted, staging would have nobody to answer for it
        given = np.where(requests.failed[requests.units], 0.0, given)
    return Units(
        given, requests.arm_b[requests.units], requests.split[requests.units], rows, answers
    )


def _arm(
    requests: Requests, units: Units, version: str, settings: PromotionSettings, staging: bool
) -> Arm:
    mine = requests.arm_b == staging
    values, confusion = units.of_arm(staging, settings)
    latency = requests.log.loc[mine, "latency_ms"].dropna().to_numpy(dtype=float)
    due = requests.due[mine[requests.due]]
    limit = settings.guardrails.latency_p99_ms or np.inf
    total = float(values.sum())
    return Arm(
        version=version,
        users=int(mine[requests.first].sum()),
        requests=int(mine.sum()),
        labelled=len(values),
        outcome=total,
        wrong=int((values < 1).sum()),
        matured=len(due),
        matured_labelled=int(requests.labelled[due].sum()),
        failed=int(requests.failed[mine].sum()),
        slow=int((latency > limit).sum()),
        latency_p99_ms=float(np.quantile(latency, 0.99)) if len(latency) else None,
        interval=mean_interval(total, len(values), settings.alpha),
        confusion=confusion,
    )


def _splits(arm_b: Bools, split: Floats) -> dict[float, tuple[int, int]]:
    return {
        float(value): (int((split == value).sum()), int(arm_b[split == value].sum()))
        for value in np.unique(split)
    }


def _ratio_log_e(arm_b: Bools, split: Floats) -> float:
    """A product of e-processes that run one after another is one."""
    counts = _splits(arm_b, split).items()
    return sum(float(sample_ratio_log_e(in_b, users, value)) for value, (users, in_b) in counts)


def _unequal_log_e(values: Floats, arm_b: Bools, split: Floats, effect: float) -> float:
    """Either side may be the larger: half of the capital on each."""
    if (values == values[:1]).all():
        return 0.0
    process = betting(randomised(values, arm_b, split), 0.0, effect)
    both = np.logaddexp(process.promote, process.reject) - np.log(2)
    return float(both.max(initial=0.0))


def _switched(requests: Requests) -> int:
    splits, code = np.unique(requests.split, return_inverse=True)
    place = requests.user * len(splits) + code
    seen, in_b = np.bincount(place), np.bincount(place, requests.arm_b)
    mixed = np.flatnonzero((in_b > 0) & (in_b < seen))
    return len(np.unique(mixed // max(1, len(splits))))


def _late_share(requests: Requests) -> float:
    """The larger of the arms', so that one arm's late labels are not diluted by the other's."""
    shares = [0.0]
    for arm in (requests.arm_b, ~requests.arm_b):
        labels = (requests.labelled | requests.late) & arm
        shares.append(float((requests.late & arm).sum() / max(1, labels.sum())))
    return max(shares)


def _slices(
    rows: pd.DataFrame, units: Units, columns: Sequence[str], settings: PromotionSettings
) -> list[Slice]:
    found = []
    for column in columns:
        values = _cut(pd.Series([features.get(column) for features in rows["features"]]))
        for value in sorted(values.dropna().unique(), key=str):
            here = (values == value).to_numpy()
            found.append(units.slice(f"{column}={value}", here, settings))
    return found


def _cut(values: "pd.Series[Any]") -> "pd.Series[Any]":
    if values.nunique() <= MOST_VALUES:
        return values
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().mean() > 0.5:
        return pd.qcut(numbers, 4, duplicates="drop").astype(object)
    common = values.value_counts().index[:MOST_VALUES]
    return values.where(values.isin(common))
