"""The comparison of two profiles, and the rule that decides if something changed enough.

A column has drifted if its difference is surely larger than the tolerances, with Holm's correction
over all columns. If nothing changed, at most a share alpha of the checks says drift.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ratchet.drift.dependence import Dependence
from ratchet.drift.difference import (
    NUMBER_WEIGHTS,
    Difference,
    Pair,
    answer_difference,
    feature_difference,
)
from ratchet.drift.joint import JointShift
from ratchet.drift.periods import PeriodSpread
from ratchet.profile.profile import CategoryCounts, Counts, Profile
from ratchet.settings import DriftSettings
from ratchet.statistics.holm import holm
from ratchet.statistics.power import smallest_visible_shift

Verdict = Literal["drifted", "stable", "insufficient"]
ANSWERS = {"prediction": "the predicted classes", "target": "the true classes", "right": "accuracy"}
MAX_NAMES = 5  # in a sentence


@dataclass(frozen=True)
class Drift:
    """The result of one check. `answers` has those of ANSWERS that both sides have."""

    finding: Verdict
    reason: str
    rows: Pair
    features: Mapping[str, Difference]
    answers: Mapping[str, Difference]
    accuracy: Pair | None
    dependence: Dependence | None
    joint: JointShift | None = None
    worth: float = 1.0  # the share of the current rows that are independent
    smallest_shift: float | None = None  # of one column, that so many rows can show
    periods: PeriodSpread | None = None

    @property
    def drifted(self) -> list[str]:
        """Return the features that drifted, worst first."""
        return [name for name in worst_first(self.features) if self.features[name].drifted]

    @property
    def changed(self) -> list[str]:
        """Return the features that changed within the tolerances, worst first."""
        return [name for name in worst_first(self.features) if self.features[name].changed]


def compare(
    reference: Profile,
    current: Profile,
    dependence: Dependence | None,
    settings: DriftSettings,
    worth: float = 1.0,
    joint: JointShift | None = None,
    periods: PeriodSpread | None = None,
) -> Drift:
    drift = Drift(
        "insufficient",
        f"{current.rows:,} rows against {reference.rows:,} of the reference; a verdict takes"
        f" {settings.minimum_rows:,} on either side (drift.minimum_rows)",
        Pair(reference.rows, current.rows),
        {
            name: feature_difference(counts, current.features[name], settings, worth)
            for name, counts in reference.features.items()
        },
        {
            part: answer_difference(part, *pair, settings, worth)
            for part, pair in _answers(reference, current).items()
        },
        _accuracy(reference, current),
        dependence,
        joint,
        worth,
        periods=periods,
    )
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return drift
    drift = _judged(drift, settings)
    changes = _changes(drift)
    if changes:
        return replace(drift, finding="drifted", reason=f"changed: {'; '.join(changes)}")
    reason = "no change beyond the limits"
    if drift.changed:
        reason += f"; changed, within tolerance: {_listed(drift.changed)}"
    return replace(drift, finding="stable", reason=reason)


def _answers(reference: Profile, current: Profile) -> dict[str, tuple[Counts, Counts]]:
    pairs = {part: (getattr(reference, part), getattr(current, part)) for part in ANSWERS}
    return {part: (before, now) for part, (before, now) in pairs.items() if before and now}


def _accuracy(reference: Profile, current: Profile) -> Pair | None:
    if not isinstance(reference.right, CategoryCounts) or current.right is None:
        return None
    before, now = reference.right.share_of("true"), current.right.share_of("true")
    return None if before is None or now is None else Pair(before, now)


def _judged(drift: Drift, settings: DriftSettings) -> Drift:
    counted = list(settings.features or drift.features)
    if periods := drift.periods:
        drift = _with_periods(drift, periods)
        counted = [name for name in counted if name != periods.time]
    # An answer's key has parentheses, because a feature may be called "prediction".
    tested = {name: drift.features[name] for name in counted}
    tested |= {f"({part})": one for part, one in drift.answers.items()}
    tested = {name: one for name, one in tested.items() if one.p_value is not None}
    drifted = _rejected({name: one.p_value for name, one in tested.items()}, settings.alpha)
    plain = {name: one.p_value_of_no_change for name, one in tested.items()}
    if _is_below(drift.answers.get("right"), settings.alpha / 2):
        drifted.add("(right)")
    changed = _rejected(plain, settings.alpha) - drifted

    def judged(key: str, one: Difference) -> Difference:
        return replace(one, drifted=key in drifted, changed=key in changed)

    dependence, joint = drift.dependence, drift.joint
    # Half of alpha each, also for the accuracy: without a change the columns hardly ever alarm,
    # because of the tolerances.
    if dependence:
        dependence = replace(dependence, drifted=dependence.p_value < settings.alpha / 2)
    if joint:
        joint = replace(joint, drifted=joint.p_value < settings.alpha / 2)
    return replace(
        drift,
        features={name: judged(name, one) for name, one in drift.features.items()},
        answers={part: judged(f"({part})", one) for part, one in drift.answers.items()},
        dependence=dependence,
        joint=joint,
        smallest_shift=_smallest_shift(drift, len(tested), settings),
    )


def _with_periods(drift: Drift, periods: PeriodSpread) -> Drift:
    """Raise p-values to those of the spread between periods: both have to be small."""
    features = dict(drift.features)
    for name, p_value in periods.p_values.items():
        one = features[name]
        if one.p_value is not None:
            features[name] = replace(one, p_value=max(one.p_value, p_value))
    joint = drift.joint
    if joint:
        joint = replace(joint, p_value=max(joint.p_value, periods.joint))
    return replace(drift, features=features, joint=joint)


def _is_below(difference: Difference | None, level: float) -> bool:
    return difference is not None and difference.p_value is not None and difference.p_value < level


def _rejected(p_values: Mapping[str, float | None], alpha: float) -> set[str]:
    rejected = holm([1.0 if p is None else p for p in p_values.values()], alpha)
    return {name for name, is_rejected in zip(p_values, rejected, strict=True) if is_rejected}


def _smallest_shift(drift: Drift, tests: int, settings: DriftSettings) -> float | None:
    if all(one.ks is None for one in drift.features.values()):
        return None
    rows = max(drift.rows.current * drift.worth, 2.0)
    level = NUMBER_WEIGHTS["psi"] * settings.alpha / max(tests, 1)
    return smallest_visible_shift(
        drift.rows.reference, rows, level, settings.tau, settings.ks_tolerance
    )


def _changes(drift: Drift) -> list[str]:
    changes = []
    if drift.drifted:
        changes.append(_listed(drift.drifted))
    changes += [ANSWERS[part] for part, one in drift.answers.items() if one.drifted]
    if drift.accuracy and ANSWERS["right"] in changes[-1:]:
        changes[-1] += f", from {drift.accuracy.reference:.3f} to {drift.accuracy.current:.3f}"
    if drift.joint and drift.joint.drifted and not drift.drifted:
        changes.append(f"several features by a little ({', '.join(drift.joint.features)})")
    if drift.dependence and drift.dependence.drifted:
        pairs = ", ".join(f"{one} with {other}" for one, other in drift.dependence.pairs)
        changes.append(f"how features go together ({pairs})")
    return changes


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def worst_first(features: Mapping[str, Difference]) -> list[str]:
    def rank(name: str) -> tuple[bool, float, float]:
        one = features[name]
        return (not one.drifted, 1.0 if one.p_value is None else one.p_value, -(one.psi or 0.0))

    return sorted(features, key=rank)
