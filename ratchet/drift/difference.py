"""The difference of one column between the reference and the current data.

A column has several tests, each with a tolerance. The p-values are combined by Bonferroni with the
weights below, so that the tests that most columns need keep nearly all of their power.
"""

from dataclasses import dataclass, replace

import numpy as np

from ratchet.columns import Kind
from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts
from ratchet.settings import DriftSettings
from ratchet.statistics.distances import (
    kolmogorov_smirnov,
    ks_p_value,
    population_stability_index,
    psi_p_value,
)
from ratchet.statistics.shares import (
    changed_shares_p_value,
    rise_p_value,
    unseen_p_value,
    unseen_share_limit,
)

NUMBER_WEIGHTS = {"psi": 0.48, "ks": 0.48, "missing": 0.04}
CATEGORY_WEIGHTS = {"psi": 0.75, "unseen": 0.2, "missing": 0.05}
UNSEEN_TOLERANCE = 0.005  # a category with a smaller share has no bin of its own either
NO_TOLERANCE = {
    "tau": 0.0,
    "ks_tolerance": 0.0,
    "missing_tolerance": 0.0,
    "share_tolerance": 0.0,
    "accuracy_tolerance": 0.0,
}


@dataclass(frozen=True)
class Pair:
    reference: float
    current: float


@dataclass(frozen=True)
class Difference:
    """The difference of one column. None: too few rows, or the kind has no such statistic."""

    kind: Kind
    missing: Pair
    unseen: float | None = None
    psi: float | None = None
    ks: float | None = None
    p_value: float | None = None  # of "no change beyond the tolerances"
    p_value_of_no_change: float | None = None
    drifted: bool = False
    changed: bool = False  # surely changed, but not surely by more than the tolerances

    @property
    def verdict(self) -> str:
        if self.p_value is None:
            return "too few rows"
        if self.drifted:
            return "drifted"
        return "changed, within tolerance" if self.changed else "stable"


def feature_difference(
    reference: Counts, current: Counts, settings: DriftSettings, worth: float = 1.0
) -> Difference:
    """Compare one feature. `worth` is the share of the current rows that are independent."""
    difference = _described(reference, current)
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return difference
    plain = settings.model_copy(update=NO_TOLERANCE)
    return replace(
        difference,
        p_value=_feature_p_value(reference, current, settings, worth),
        p_value_of_no_change=_feature_p_value(reference, current, plain, worth),
    )


def answer_difference(
    part: str, reference: Counts, current: Counts, settings: DriftSettings, worth: float = 1.0
) -> Difference:
    """Compare predictions, labels or accuracy over the rows that have one: labels come late."""
    reference, current = replace(reference, missing=0), replace(current, missing=0)
    if isinstance(reference, NumberCounts):
        return feature_difference(reference, current, settings, worth)
    difference = _described(reference, current)
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return difference
    before, now = reference.shares, worth * current.shares
    if part == "right":
        p_values = [
            _fall_p_value(before, now, tolerance) for tolerance in (settings.accuracy_tolerance, 0)
        ]
    else:
        p_values = [
            changed_shares_p_value(before, now, tolerance)
            for tolerance in (settings.share_tolerance, 0)
        ]
    return replace(difference, p_value=p_values[0], p_value_of_no_change=p_values[1])


def _fall_p_value(reference: np.ndarray, current: np.ndarray, tolerance: float) -> float:
    """Return the p-value of "accuracy fell by at most the tolerance"; the first bin is "right"."""
    n, m = float(reference.sum()), float(current.sum())
    return rise_p_value(n - reference[0], n, m - current[0], m, tolerance)


def _described(reference: Counts, current: Counts) -> Difference:
    missing = Pair(_share(reference.missing, reference), _share(current.missing, current))
    difference = Difference(reference.kind, missing)
    if isinstance(current, CategoryCounts) and not current.bins.open:
        difference = replace(difference, unseen=_share(current.unseen, current))
    if not reference.rows or not current.rows:
        return difference
    psi = population_stability_index(reference.shares, current.shares)
    difference = replace(difference, psi=psi)
    if isinstance(reference, NumberCounts) and reference.counts.any() and current.counts.any():
        ks = kolmogorov_smirnov(reference.counts, current.counts)
        difference = replace(difference, ks=ks)
    return difference


def _share(part: int, counts: Counts) -> float:
    return part / counts.rows if counts.rows else 0.0


def _feature_p_value(
    reference: Counts, current: Counts, settings: DriftSettings, worth: float
) -> float:
    p_values = {
        "psi": psi_p_value(reference.shares, worth * current.shares, settings.tau),
        "missing": _missing_p_value(reference, current, settings.missing_tolerance, worth),
    }
    if isinstance(reference, CategoryCounts) and isinstance(current, CategoryCounts):
        return _combined(p_values | {"unseen": _unseen_p_value(current, worth)}, CATEGORY_WEIGHTS)
    n, m = int(reference.counts.sum()), int(current.counts.sum())
    if n and m:
        ks = kolmogorov_smirnov(reference.counts, current.counts)
        p_values["ks"] = ks_p_value(ks, n, m * worth, settings.ks_tolerance)
    return _combined(p_values, NUMBER_WEIGHTS)


def _combined(p_values: dict[str, float], weights: dict[str, float]) -> float:
    return min(1.0, *(p / weights[name] for name, p in p_values.items()))


def _missing_p_value(reference: Counts, current: Counts, tolerance: float, worth: float) -> float:
    if not reference.missing and not current.missing:
        return 1.0
    before = np.array([reference.missing, reference.rows - reference.missing])
    now = worth * np.array([current.missing, current.rows - current.missing])
    return changed_shares_p_value(before, now, tolerance)


def _unseen_p_value(current: CategoryCounts, worth: float) -> float:
    """Return the p-value of "there are no more unseen names than a sample of names must lack"."""
    bins, rows = current.bins, int(current.counts.sum())
    if bins.open or not bins.rows or not rows:
        return 1.0
    limit = max(UNSEEN_TOLERANCE, unseen_share_limit(bins.once, bins.twice, bins.rows))
    return unseen_p_value(worth * current.unseen, worth * rows, limit)
