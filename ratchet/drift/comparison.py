"""Profile against profile: has something changed enough to retrain?

A feature has drifted where its distance is surely more than a tolerance, after Holm over all of
them: with nothing changed, about one check in 1 / alpha says drift. Too few rows are no verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ratchet.config import DriftSettings, Kind
from ratchet.drift.dependence import Dependence
from ratchet.drift.distances import (
    holm,
    kolmogorov_smirnov,
    ks_p_value,
    population_stability_index,
    psi_p_value,
)
from ratchet.drift.profile import CategoryCounts, Counts, NumberCounts, Profile

Verdict = Literal["drifted", "stable", "insufficient"]


@dataclass(frozen=True)
class Pair:
    reference: float
    current: float


@dataclass(frozen=True)
class Difference:
    """Of one column. `None`: too few values, or a statistic that its kind does not have."""

    kind: Kind
    rows: tuple[int, int]
    psi: float | None
    ks: float | None
    p_value: float | None
    missing: Pair
    unseen: float | None
    drifted: bool = False


@dataclass(frozen=True)
class Drift:
    verdict: Verdict
    reason: str
    rows: tuple[int, int]
    features: Mapping[str, Difference]
    prediction: Difference | None
    target: Difference | None
    accuracy: Pair | None
    accuracy_fell: bool
    dependence: Dependence | None
    dependence_drifted: bool

    @property
    def drifted(self) -> list[str]:
        """The features that drifted, worst first."""
        return [name for name in worst_first(self.features) if self.features[name].drifted]


def compare(
    reference: Profile, current: Profile, dependence: Dependence | None, settings: DriftSettings
) -> Drift:
    features = {
        name: difference(counts, current.features[name], settings)
        for name, counts in reference.features.items()
    }
    answers = {
        part: difference(before, after, settings)
        for part in ("prediction", "target", "right")
        if (before := getattr(reference, part)) and (after := getattr(current, part))
    }
    counted = {n: d for n, d in features.items() if not settings.features or n in settings.features}
    judged = _judged(counted | {f"({n})": d for n, d in answers.items()}, settings.alpha)
    accuracy = _accuracy(reference, current)
    fell = accuracy is not None and accuracy.current < accuracy.reference
    enough = min(reference.rows, current.rows) >= settings.minimum_rows
    # Half of alpha: where nothing changed, a feature hardly ever alarms, so the sum stays below.
    together = dependence is not None and dependence.p_value < settings.alpha / 2
    drift = Drift(
        "insufficient", "", (reference.rows, current.rows),
        {name: judged.get(name, one) for name, one in features.items()},
        judged.get("(prediction)"), judged.get("(target)"), accuracy,
        fell and "(right)" in judged and judged["(right)"].drifted,
        dependence, together,
    )  # fmt: skip
    return _concluded(drift) if enough else _undecided(drift, settings)


def difference(reference: Counts, current: Counts, settings: DriftSettings) -> Difference:
    missing = Pair(_share(reference.missing, reference), _share(current.missing, current))
    unseen = None
    if isinstance(current, CategoryCounts) and not current.bins.open:
        unseen = _share(current.unseen, current)
    empty = Difference(
        reference.kind, (reference.rows, current.rows), None, None, None, missing, unseen
    )
    if not settings.minimum_rows <= min(reference.rows, current.rows):
        return empty
    psi = population_stability_index(reference.shares, current.shares)
    p_psi = psi_p_value(reference.shares, current.shares, settings.tau)
    if not isinstance(reference, NumberCounts):
        return replace(empty, psi=psi, p_value=p_psi)
    n, m = int(reference.counts.sum()), int(current.counts.sum())
    if not n or not m:
        return replace(empty, psi=psi, p_value=p_psi)
    ks = kolmogorov_smirnov(reference.counts, current.counts)
    p_ks = ks_p_value(ks, n, m, settings.ks_tolerance)
    return replace(empty, psi=psi, ks=ks, p_value=min(1.0, 2 * min(p_psi, p_ks)))


def _share(part: int, counts: Counts) -> float:
    return part / counts.rows if counts.rows else 0.0


def _judged(differences: Mapping[str, Difference], alpha: float) -> dict[str, Difference]:
    tested = {n: d.p_value for n, d in differences.items() if d.p_value is not None}
    fallen = dict(zip(tested, holm(list(tested.values()), alpha), strict=True))
    return {
        name: replace(one, drifted=fallen.get(name, False)) for name, one in differences.items()
    }


def _accuracy(reference: Profile, current: Profile) -> Pair | None:
    if reference.right is None or current.right is None:
        return None
    shares = [_true_share(part) for part in (reference.right, current.right)]
    return None if None in shares else Pair(*shares)  # type: ignore[arg-type]


def _true_share(right: CategoryCounts) -> float | None:
    """Of the rows whose label is known. `true` stands among the reference's names, or is new."""
    labelled = right.rows - right.missing
    named = {**dict(zip(right.bins.names, right.counts.tolist(), strict=False)), **right.examples}
    return named.get("true", 0) / labelled if labelled else None


def _undecided(drift: Drift, settings: DriftSettings) -> Drift:
    before, now = drift.rows
    reason = (
        f"{now:,} rows against {before:,} of the reference; a verdict takes"
        f" {settings.minimum_rows:,} on either side (drift.minimum_rows)"
    )
    return replace(drift, reason=reason, dependence_drifted=False)


def _concluded(drift: Drift) -> Drift:
    reasons = []
    if names := drift.drifted:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        reasons.append(f"{', '.join(names[:5])}{more}")
    if drift.prediction and drift.prediction.drifted:
        reasons.append("the predicted classes")
    if drift.target and drift.target.drifted:
        reasons.append("the true classes")
    if drift.accuracy_fell and drift.accuracy:
        fall = f"{drift.accuracy.reference:.3f} to {drift.accuracy.current:.3f}"
        reasons.append(f"accuracy, from {fall}")
    if drift.dependence_drifted and drift.dependence:
        pairs = ", ".join(f"{one} with {other}" for one, other in drift.dependence.pairs)
        reasons.append(f"how features go together ({pairs})")
    if reasons:
        return replace(drift, verdict="drifted", reason=f"changed: {'; '.join(reasons)}")
    return replace(drift, verdict="stable", reason="no change beyond the limits")


def worst_first(features: Mapping[str, Difference]) -> list[str]:
    def rank(name: str) -> tuple[bool, float, float]:
        one = features[name]
        return (not one.drifted, 1.0 if one.p_value is None else one.p_value, -(one.psi or 0.0))

    return sorted(features, key=rank)


def false_alarms(settings: DriftSettings) -> str:
    return (
        f"With nothing changed, about one check in {round(1 / settings.alpha):,} says drift"
        f" (alpha {settings.alpha:g} over all features together). Changes of PSI {settings.tau:g}"
        f" or KS {settings.ks_tolerance:g} and less are not worth an alarm."
    )


def confirmed(findings: Sequence[Verdict], settings: DriftSettings) -> Verdict:
    """The verdict over the last checks, this one first: N of the last M must have found drift.

    >>> twice_of_three = DriftSettings(needed=2, window=3)
    >>> confirmed(["drifted", "stable", "drifted", "drifted"], twice_of_three)
    'drifted'
    >>> confirmed(["drifted", "stable", "stable", "drifted"], twice_of_three)
    'stable'
    >>> confirmed(["insufficient", "drifted", "drifted"], twice_of_three)
    'insufficient'
    """
    if findings[0] == "insufficient":
        return "insufficient"
    decided = [one for one in findings if one != "insufficient"][: settings.window]
    return "drifted" if decided.count("drifted") >= settings.needed else "stable"


def hours_to_wait(since_last_alarm: float | None, settings: DriftSettings) -> float:
    """Before another check may ask for retraining; the hours since one did, or None if none has.

    >>> hours_to_wait(5.0, DriftSettings(cooldown_hours=24))
    19.0
    >>> hours_to_wait(None, DriftSettings(cooldown_hours=24))
    0.0
    """
    if since_last_alarm is None:
        return 0.0
    return max(0.0, settings.cooldown_hours - since_last_alarm)
