"""One drift check, from the names of both sides to a conclusion, without MLflow runs and files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.drift.broken_rules import broken_rules_of_file, broken_rules_of_log
from ratchet.drift.checks import Checks, Conclusion, conclude
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.dependence import Dependence, dependence
from ratchet.drift.joint import joint_shift
from ratchet.drift.periods import period_spread
from ratchet.drift.reference import Reference
from ratchet.errors import InputError, nearest
from ratchet.profile.profile import Profile
from ratchet.profile.reading import Reading, read_current
from ratchet.profile.schema import Schema
from ratchet.settings import DriftSettings, Settings
from ratchet.statistics.repeats import worth

NOTABLE_WORTH = 0.9  # above it, repeated rows make no difference that a reader needs to know
LOG = "log"  # the prediction log at RATCHET_LOG_URL
SCORED = "scored"  # the batches that the reference's version scored


@dataclass(frozen=True)
class Findings:
    """The result of a check. `reference_name` and `current_name` are for people."""

    model: str
    reference_name: str
    current_name: str
    reference: Profile
    current: Profile
    schema: Schema
    drift: Drift
    conclusion: Conclusion
    settings: DriftSettings
    broken_rules: Sequence[str] = ()  # of the contract

    @property
    def sides(self) -> str:
        return (
            f"{self.current_name}, {self.current.rows:,} rows; the reference is"
            f" {self.reference_name}, {self.reference.rows:,} rows."
        )

    @property
    def sentences(self) -> list[str]:
        """Return the changes of the columns themselves, then the results across columns."""
        drift = self.drift
        sentences = [*self.schema.sentences, *self.broken_rules]
        if drift.worth < NOTABLE_WORTH:
            sentences.append(
                "the same rows were sent repeatedly: as evidence they count as"
                f" {drift.worth * self.current.rows:,.0f} independent rows"
            )
        if accuracy := drift.accuracy:
            sentences.append(
                f"accuracy {accuracy.current:.4f} on the labelled rows,"
                f" {accuracy.reference:.4f} on the holdout after training"
            )
        if together := drift.dependence:
            sentences.append(
                f"how features go together: {'changed' if together.drifted else 'no change'}"
                f" (a classifier separates the sides with AUC {together.auc:.3f},"
                f" p {together.p_value:.2g})"
            )
        if joint := drift.joint:
            sentences.append(
                f"small shifts of several features: {'changed' if joint.drifted else 'no change'}"
                f" (total distance {joint.distance:.3f} standard deviations,"
                f" p {joint.p_value:.2g})"
            )
        sentences.append(
            drift.periods.sentence
            if drift.periods
            else "the time of the reference is not known (drift.time): differences between weekdays"
            " or seasons count as drift"
        )
        if drift.smallest_shift is not None:
            sentences.append(
                f"with so many rows, a shift of {drift.smallest_shift:.2f} standard deviations of"
                " one column of numbers is found in 80 % of checks; a smaller one may be missed"
            )
        return sentences

    @property
    def limits_in_words(self) -> str:
        limits = self.settings
        return (
            f"With nothing changed, at most about one check in {round(1 / limits.alpha):,} says"
            f" drift (alpha {limits.alpha:g}, over all features together). A change of up to PSI"
            f" {limits.tau:g} or KS {limits.ks_tolerance:g} is tolerated, and so are a fall of the"
            f" accuracy by {limits.accuracy_tolerance:g}, a change of a predicted or true class's"
            f" share by {limits.share_tolerance:g} and of missing values by"
            f" {limits.missing_tolerance:g}."
        )


def find_drift(
    current: str, before: Reference, checks: Checks, settings: Settings, days: float = 0
) -> Findings:
    """Check the current data. Of a prediction log and of scored batches, `days` are read.

    0: as many as the settings say. Files are read whole.
    """
    reference, limits = before.reading.profile, settings.drift
    _require_known(limits, reference)
    if not 0 <= days < math.inf:
        raise InputError(f"days={days:g}: expected a positive number, or 0 for drift.log_days")
    now, schema = _read(current, before, checks, settings, days or limits.log_days)
    sample = before.reading.sample
    share = worth(sample, now.sample, now.profile.rows)
    drift = compare(
        reference,
        now.profile,
        _dependence(before.reading, now, limits),
        limits,
        share,
        joint_shift(reference, now.profile, sample, _counted(before.reading, limits), share),
        period_spread(limits.time, reference, now.profile, sample, now.sample)
        if limits.time
        else None,
    )
    return Findings(
        settings.model,
        before.name,
        _display_name(current),
        reference,
        now.profile,
        schema,
        drift,
        conclude(drift, reference, checks, limits),
        limits,
        _broken_rules(current, settings, days or limits.log_days),
    )


def _read(
    current: str, before: Reference, checks: Checks, settings: Settings, days: float
) -> tuple[Reading, Schema]:
    profile = before.reading.profile
    if current == SCORED:
        from ratchet.drift.scored_batches import read_scored

        if before.version is None:
            raise InputError(f"reference={before.name}: 'scored' needs a version, such as prod")
        return read_scored(checks.client, settings.model, before.version, days, settings.data)
    if not _is_log(current):
        if settings.drift.engine == "duckdb":
            return read_current(current, settings.data, profile, settings.drift.unit_column)
        if settings.drift.unit_column:
            raise InputError(
                f"drift.unit is {settings.drift.unit}, and {settings.drift.engine} reads each file"
                " on its own, but a unit may be in several. Unset drift.engine or drift.unit"
            )
        from ratchet.profile.cluster import read_on_cluster

        return read_on_cluster(current, settings, profile)
    from ratchet.predictions.engine import log_url
    from ratchet.predictions.feature_table import feature_table

    url = log_url() if current == LOG else current
    per_user = settings.drift.unit != "request"
    with feature_table(url, settings.model, days, before.version, per_user) as rows:
        return read_current(rows, settings.data, profile)


def _broken_rules(current: str, settings: Settings, days: float) -> list[str]:
    if current == SCORED:
        return []  # the rows themselves are not kept
    if not _is_log(current):
        return broken_rules_of_file(current, settings)
    return broken_rules_of_log(None if current == LOG else current, settings, days)


def _display_name(current: str) -> str:
    """Return the name of the current data for people: a log's address has a password."""
    if current == SCORED:
        return "the scored batches"
    return "the prediction log" if _is_log(current) else current


def _is_log(current: str) -> bool:
    return current == LOG or current.startswith(("sqlite:", "postgresql:", "postgresql+"))


def _require_known(settings: DriftSettings, reference: Profile) -> None:
    for name in settings.features:
        if name not in reference.features:
            raise InputError(
                f"'{name}' (drift.features) is not a feature of the model;"
                f" {nearest(name, reference.features)}"
            )


def _dependence(before: Reading, now: Reading, settings: DriftSettings) -> Dependence | None:
    if not settings.dependence:
        return None
    return dependence(*(side.sample.select(_counted(before, settings)) for side in (before, now)))


def _counted(before: Reading, settings: DriftSettings) -> tuple[str, ...]:
    """Return the features that count. The time moves on, so it never counts."""
    names = settings.features or tuple(before.profile.features)
    return tuple(name for name in names if name != settings.time)
