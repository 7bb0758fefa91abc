"""The Trial of one test, counted from its requests: arms, evidence and the checks' numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from ratchet.promotion import evidence
from ratchet.promotion.requests import DAY, HOUR, Requests
from ratchet.promotion.trial import Arm, Slice, Trial
from ratchet.promotion.units import Answers, Units, all_units, labelled_units
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Floats
from ratchet.statistics.betting import betting
from ratchet.statistics.intervals import mean_interval
from ratchet.statistics.sample_ratio import sample_ratio_log_e

MOST_VALUES = 20  # of a slice column; a numeric column with more is cut at its quartiles


def trial_of(
    requests: Requests,
    answers: Answers,
    settings: PromotionSettings,
    now: float,
    slices: Sequence[str] = (),
    deleted_days: float = 0.0,
    draw: float = 1.0,
) -> Trial:
    """Count the test. `draw` is its random number for the decision at the deadline."""
    units = labelled_units(requests, answers, settings)
    first, due, arm_b, split = requests.first, requests.due, requests.arm_b, requests.split
    begin = float(requests.log["time"].min()) if len(first) else now
    labelled_rows, due_rows = requests.labelled.first_rows, due.first_rows
    earliest = begin + settings.min_days * DAY
    deadline = None
    if settings.deadline_days is not None and now >= begin + settings.deadline_days * DAY:
        deadline = evidence.Deadline(begin + settings.deadline_days * DAY, draw)
    is_covered = due.mean(requests.has_label[due.rows].astype(float))
    fine = (~requests.failed[first]).astype(float)
    guard = settings.guardrails.error_rate
    everyone = None
    if _counts_missing(requests, settings):
        everyone = evidence.Sequence(
            all_units(requests, answers, settings), requests.closes[due_rows]
        )
    return Trial(
        a=_arm(requests, units, answers, settings, staging=False),
        b=_arm(requests, units, answers, settings, staging=True),
        evidence=evidence.evidence_of(
            evidence.Sequence(units, requests.closes[labelled_rows]),
            everyone,
            users=len(first),
            earliest=earliest if earliest <= now else float("inf"),
            settings=settings,
            deadline=deadline,
        ),
        window=(begin - deleted_days * DAY, now),
        splits=_splits(arm_b[first], split[first]),
        sample_ratio_log_e=_ratio_log_e(arm_b[first], split[first]),
        labelled_ratio_log_e=_ratio_log_e(arm_b[labelled_rows], split[labelled_rows]),
        coverage_log_e=evidence.log_e_unequal(
            is_covered, arm_b[due_rows], split[due_rows], settings.mde
        ),
        switched_users=_switched(requests),
        late_labels=_late_share(requests),
        error_log_e=evidence.log_e_worse(fine, arm_b[first], split[first], -guard, settings.mde),
        label_delay_hours=_label_delay_hours(requests),
        deleted_days=deleted_days,
        slices=_slices(requests, units, slices, settings),
        newer_half=_newer_half(units, settings),
    )


def _counts_missing(requests: Requests, settings: PromotionSettings) -> bool:
    is_missing = ~requests.has_label[requests.due.rows]
    return (
        settings.labels == "missing_not_at_random"
        and settings.method != "paired"
        and bool(is_missing.any())
    )


def _arm(
    requests: Requests,
    units: Units,
    answers: Answers,
    settings: PromotionSettings,
    staging: bool,
) -> Arm:
    mine = requests.arm_b == staging
    values = units.of_arm(staging, settings)
    latency = requests.log.loc[mine, "latency_ms"].dropna().to_numpy(dtype=float)
    due = requests.due.first_rows
    is_mine = mine[due]
    labelled = requests.due.mean(requests.has_label[requests.due.rows].astype(float)) > 0
    limit = settings.guardrails.latency_p99_ms or np.inf
    total = float(values.sum())
    return Arm(
        version=answers.staging_version if staging else answers.prod_version,
        users=int(mine[requests.first].sum()),
        requests=int(mine.sum()),
        labelled=len(values),
        outcome=total,
        wrong=int((values < 1).sum()),
        matured=int(is_mine.sum()),
        matured_labelled=int(labelled[is_mine].sum()),
        failed=int(requests.failed[mine].sum()),
        slow=int((latency > limit).sum()),
        latency_p99_ms=float(np.quantile(latency, 0.99)) if len(latency) else None,
        interval=mean_interval(total, len(values), settings.alpha),
        confusion=_confusion(requests, answers, settings, staging),
    )


def _confusion(
    requests: Requests, answers: Answers, settings: PromotionSettings, staging: bool
) -> dict[str, dict[str, int]]:
    """Return truth: answer: count, over the labelled requests that count."""
    rows = requests.labelled.rows
    rows = rows[requests.has_label[rows]]
    if settings.method == "paired":
        both = answers.staging if staging else answers.prod
        predicted = both.reindex(rows)  # type: ignore[union-attr]
    else:
        rows = rows[requests.arm_b[rows] == staging]
        predicted = requests.log["prediction"].iloc[rows]
    label = requests.log["label"].iloc[rows]
    pairs = pd.DataFrame({"label": label.astype(str), "answer": predicted.astype(str)})
    confusion: dict[str, dict[str, int]] = {}
    counts: list[Any] = sorted(pairs.value_counts().to_dict().items())
    for (truth, answer), count in counts:
        confusion.setdefault(truth, {})[answer] = int(count)
    return confusion


def _splits(arm_b: Bools, split: Floats) -> dict[float, tuple[int, int]]:
    return {
        float(value): (int((split == value).sum()), int(arm_b[split == value].sum()))
        for value in np.unique(split)
    }


def _ratio_log_e(arm_b: Bools, split: Floats) -> float:
    """Multiply the e-values of the splits: e-processes that run one after another."""
    counts = _splits(arm_b, split).items()
    return sum(float(sample_ratio_log_e(in_b, users, value)) for value, (users, in_b) in counts)


def _switched(requests: Requests) -> int:
    splits, code = np.unique(requests.split, return_inverse=True)
    key = requests.user * len(splits) + code
    seen, in_b = np.bincount(key), np.bincount(key, requests.arm_b)
    mixed = np.flatnonzero((in_b > 0) & (in_b < seen))
    return len(np.unique(mixed // max(1, len(splits))))


def _late_share(requests: Requests) -> float:
    """Return the larger of the arms' shares, so that one arm's late labels are not diluted."""
    shares = [0.0]
    for arm in (requests.arm_b, ~requests.arm_b):
        labels = (requests.has_label | requests.late) & arm
        shares.append(float((requests.late & arm).sum() / max(1, labels.sum())))
    return max(shares)


def _label_delay_hours(requests: Requests) -> float | None:
    delay = (requests.log["label_time"] - requests.log["time"]).dropna().to_numpy(dtype=float)
    return float(np.quantile(delay, 0.99)) / HOUR if len(delay) else None


def _slices(
    requests: Requests, units: Units, columns: Sequence[str], settings: PromotionSettings
) -> list[Slice]:
    rows = requests.log.iloc[requests.labelled.first_rows]
    slices = []
    for column in columns:
        values = _cut(pd.Series([features.get(column) for features in rows["features"]]))
        for value in sorted(values.dropna().unique(), key=str):
            chosen = units.where((values == value).to_numpy())
            slices.append(_slice(f"{column}={value}", chosen, settings))
    return slices


def _newer_half(units: Units, settings: PromotionSettings) -> Slice:
    count = len(units.outcome)
    return _slice(
        "the newer half of the test", units.where(np.arange(count) >= count // 2), settings
    )


def _slice(name: str, units: Units, settings: PromotionSettings) -> Slice:
    prod, staging = (units.of_arm(arm, settings) for arm in (False, True))
    scores = units.scores(settings)
    worse = betting(scores, -settings.margin, settings.mde).reject
    means = [float(values.mean()) if len(values) else None for values in (prod, staging)]
    return Slice(
        name,
        (len(prod), len(staging)),
        (means[0], means[1]),
        log_e_worse=float(worse.max(initial=0.0)),
        p_worse=_p_worse(scores.difference + settings.margin),
    )


def _p_worse(difference: Floats) -> float:
    """Return the one-sided p-value of the z test that the mean difference is below 0."""
    n = len(difference)
    spread = difference.std(ddof=1) if n > 1 else 0.0
    if not spread:
        return 1.0
    return float(norm.cdf(difference.mean() / spread * np.sqrt(n)))


def _cut(values: "pd.Series[Any]") -> "pd.Series[Any]":
    if values.nunique() <= MOST_VALUES:
        return values
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().mean() > 0.5:
        return pd.qcut(numbers, 4, duplicates="drop").astype(object)
    common = values.value_counts().index[:MOST_VALUES]
    return values.where(values.isin(common))
