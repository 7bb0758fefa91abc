"""One drift check, from names to a conclusion. MLflow's runs and the files stay outside."""

from dataclasses import dataclass

from ratchet.drift.checks import Checks, Conclusion, conclude
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.dependence import Dependence, dependence
from ratchet.drift.reference import Reference
from ratchet.errors import InputError, nearest
from ratchet.profile.profile import Profile
from ratchet.profile.reading import Reading, read_current
from ratchet.profile.schema import Schema
from ratchet.settings import DriftSettings, Settings
from ratchet.statistics.repeats import worth

A_NOTE = 0.9  # of the rows' worth; from there on nobody would see a difference
LOG = "log"  # the prediction log that RATCHET_LOG_URL names


@dataclass(frozen=True)
class Findings:
    """`reference_name` and `current_name`: how a reader calls the two sides."""

    model: str
    reference_name: str
    current_name: str
    reference: Profile
    current: Profile
    schema: Schema
    drift: Drift
    conclusion: Conclusion
    settings: DriftSettings

    @property
    def sides(self) -> str:
        return (
            f"{self.current_name}, {self.current.rows:,} rows; the reference is"
            f" {self.reference_name}, {self.reference.rows:,} rows."
        )

    @property
    def sentences(self) -> list[str]:
        """The columns themselves first, then what is seen across columns."""
        said = list(self.schema.sentences)
        if self.drift.worth < A_NOTE:
            said.append(
                "the same rows came again and again: as evidence they are worth"
                f" {self.drift.worth * self.current.rows:,.0f} rows"
            )
        if accuracy := self.drift.accuracy:
            said.append(
                f"accuracy {accuracy.current:.4f} where labels exist,"
                f" {accuracy.reference:.4f} when it was trained (holdout)"
            )
        if together := self.drift.dependence:
            said.append(
                f"how features go together: {'changed' if together.drifted else 'no change'}"
                f" (a classifier tells the sides apart with AUC {together.auc:.3f},"
                f" p {together.p_value:.2g})"
            )
        return said

    @property
    def limits_in_words(self) -> str:
        limits = self.settings
        return (
            f"With nothing changed, at most about one check in {round(1 / limits.alpha):,} says"
            f" drift (alpha {limits.alpha:g}, over all features together). A change of up to PSI"
            f" {limits.tau:g} or KS {limits.ks_tolerance:g} is not worth an alarm."
        )


def find_drift(current: str, before: Reference, checks: Checks, settings: Settings) -> Findings:
    profile, limits = before.reading.profile, settings.drift
    _require_known(limits, profile)
    now, changes = _read(current, before, settings)
    drift = compare(
        profile, now.profile, _dependence(before.reading, now, limits), limits,
        worth(before.reading.sample, now.sample, now.profile.rows),
    )  # fmt: skip
    conclusion = conclude(drift, profile, checks, limits)
    called = "the prediction log" if _is_log(current) else current  # its address holds a password
    return Findings(
        settings.model, before.name, called, profile, now.profile, changes, drift, conclusion,
        limits,
    )  # fmt: skip


def _read(current: str, before: Reference, settings: Settings) -> tuple[Reading, Schema]:
    profile = before.reading.profile
    if not _is_log(current):
        if settings.drift.engine == "duckdb":
            return read_current(current, settings.data, profile)
        from ratchet.profile.cluster import read_on_cluster

        return read_on_cluster(current, settings, profile)
    from ratchet.predictions.engine import log_url
    from ratchet.predictions.feature_table import feature_table

    url = log_url() if current == LOG else current
    with feature_table(url, settings.model, settings.drift.log_days, before.version) as rows:
        return read_current(rows, settings.data, profile)


def _is_log(current: str) -> bool:
    return current == LOG or current.startswith(("sqlite:", "postgresql:", "postgresql+"))


def _require_known(settings: DriftSettings, reference: Profile) -> None:
    for name in settings.features:
        if name not in reference.features:
            raise InputError(
                f"'{name}' (drift.features) is no feature of the model;"
                f" {nearest(name, reference.features)}"
            )


def _dependence(before: Reading, now: Reading, settings: DriftSettings) -> Dependence | None:
    if not settings.dependence:
        return None
    counted = list(settings.features or before.profile.features)
    return dependence(before.sample.select(counted), now.sample.select(counted))
