"""Profile against profile: has something changed enough to retrain?

A column has drifted where its distance is surely more than a tolerance, after Holm over all of
them: with nothing changed, at most one check in 1 / alpha says drift. Too few rows are no verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ratchet.columns import Kind
from ratchet.drift.dependence import Dependence
from ratchet.profile.profile import CategoryCounts, Counts, NumberCounts, Profile
from ratchet.settings import DriftSettings
from ratchet.statistics.distances import (
    kolmogorov_smirnov,
    ks_p_value,
    population_stability_index,
    psi_p_value,
)
from ratchet.statistics.holm import holm

Verdict = Literal["drifted", "stable", "insufficient"]
ANSWERS = {"prediction": "the predicted classes", "target": "the true classes", "right": "accuracy"}
FEW = 5  # names in a sentence


@dataclass(frozen=True)
class Pair:
    reference: float
    current: float


@dataclass(frozen=True)
class Difference:
    """Of one column. `None`: too few values, or a statistic that its kind does not have."""

    kind: Kind
    missing: Pair
    unseen: float | None = None
    psi: float | None = None
    ks: float | None = None
    p_value: float | None = None
    drifted: bool = False

    @property
    def verdict(self) -> str:
        if self.p_value is None:
            return "too few rows"
        return "drifted" if self.drifted else "stable"


@dataclass(frozen=True)
class Drift:
    """What one check found. `answers` are those of ANSWERS that both sides hold."""

    finding: Verdict
    reason: str
    rows: Pair
    features: Mapping[str, Difference]
    answers: Mapping[str, Difference]
    accuracy: Pair | None
    dependence: Dependence | None
    worth: float = 1.0  # of the current rows

    @property
    def drifted(self) -> list[str]:
        """The features that drifted, worst first."""
        return [name for name in worst_first(self.features) if self.features[name].drifted]


def compare(
    reference: Profile, current: Profile, dependence: Dependence | None, settings: DriftSettings,
    worth: float = 1.0,
) -> Drift:  # fmt: skip
    """`worth`: the share of the current rows that rows of their own make up, see repeats.py."""
    found = Drift(
        "insufficient",
        f"{current.rows:,} rows against {reference.rows:,} of the reference; a verdict takes"
        f" {settings.minimum_rows:,} on either side (drift.minimum_rows)",
        Pair(reference.rows, current.rows),
        {
            n: difference(one, current.features[n], settings, worth)
            for n, one in reference.features.items()
        },
        {part: difference(*pair, settings, worth) for part, pair in _answers(reference, current)},
        _accuracy(reference, current),
        dependence,
        worth,
    )
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return found
    found = _judged(found, settings)
    changes = _changes(found)
    if not changes:
        return replace(found, finding="stable", reason="no change beyond the limits")
    return replace(found, finding="drifted", reason=f"changed: {'; '.join(changes)}")


def difference(
    reference: Counts, current: Counts, settings: DriftSettings, worth: float = 1.0
) -> Difference:
    missing = Pair(_share(reference.missing, reference), _share(current.missing, current))
    found = Difference(reference.kind, missing)
    if isinstance(current, CategoryCounts) and not current.bins.open:
        found = replace(found, unseen=_share(current.unseen, current))
    if min(reference.rows, current.rows) < settings.minimum_rows:
        return found
    psi = population_stability_index(reference.shares, current.shares)
    p_psi = psi_p_value(reference.shares, worth * current.shares, settings.tau)
    found = replace(found, psi=psi, p_value=p_psi)
    n, m = int(reference.counts.sum()), int(current.counts.sum())
    if not isinstance(reference, NumberCounts) or not n or not m:
        return found
    ks = kolmogorov_smirnov(reference.counts, current.counts)
    p_ks = ks_p_value(ks, n, m * worth, settings.ks_tolerance)
    return replace(found, ks=ks, p_value=min(1.0, 2 * min(p_psi, p_ks)))


def _share(part: int, counts: Counts) -> float:
    return part / counts.rows if counts.rows else 0.0


def _answers(reference: Profile, current: Profile) -> list[tuple[str, tuple[Counts, Counts]]]:
    """Of the rows that have one: labels come late, and not every model is asked every time."""
    pairs = [(part, getattr(reference, part), getattr(current, part)) for part in ANSWERS]
    return [
        (part, (replace(before, missing=0), replace(after, missing=0)))
        for part, before, after in pairs
        if before and after
    ]


def _accuracy(reference: Profile, current: Profile) -> Pair | None:
    if reference.right is None or current.right is None:
        return None
    before, now = reference.right.share_of("true"), current.right.share_of("true")
    return None if before is None or now is None else Pair(before, now)


def _judged(found: Drift, settings: DriftSettings) -> Drift:
    counted = settings.features or found.features
    tested = {name: found.features[name] for name in counted} | dict(_named(found.answers))
    tested = {name: one for name, one in tested.items() if one.p_value is not None}
    p_values = [one.p_value or 0.0 for one in tested.values()]
    fallen = {n for n, fell in zip(tested, holm(p_values, settings.alpha), strict=True) if fell}
    features = {n: replace(one, drifted=n in fallen) for n, one in found.features.items()}
    answers = {p: replace(one, drifted=f"({p})" in fallen) for p, one in found.answers.items()}
    if found.accuracy and found.accuracy.current >= found.accuracy.reference:
        answers["right"] = replace(answers["right"], drifted=False)
    dependence = found.dependence
    if dependence:
        # Half of alpha: with nothing changed a feature hardly ever alarms, so the sum stays below.
        dependence = replace(dependence, drifted=dependence.p_value < settings.alpha / 2)
    return replace(found, features=features, answers=answers, dependence=dependence)


def _named(answers: Mapping[str, Difference]) -> list[tuple[str, Difference]]:
    """Apart from the features: one of those may be called prediction."""
    return [(f"({part})", one) for part, one in answers.items()]


def _changes(drift: Drift) -> list[str]:
    changes = []
    if names := drift.drifted:
        more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
        changes.append(", ".join(names[:FEW]) + more)
    changes += [ANSWERS[part] for part, one in drift.answers.items() if one.drifted]
    if drift.accuracy and ANSWERS["right"] in changes[-1:]:
        changes[-1] += f", from {drift.accuracy.reference:.3f} to {drift.accuracy.current:.3f}"
    if drift.dependence and drift.dependence.drifted:
        pairs = ", ".join(f"{one} with {other}" for one, other in drift.dependence.pairs)
        changes.append(f"how features go together ({pairs})")
    return changes


def worst_first(features: Mapping[str, Difference]) -> list[str]:
    def rank(name: str) -> tuple[bool, float, float]:
        one = features[name]
        return (not one.drifted, 1.0 if one.p_value is None else one.p_value, -(one.psi or 0.0))

    return sorted(features, key=rank)
