"""The conclusion from this check and earlier ones: N of the last M, and a retraining cooldown."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.drift.comparison import Drift, Verdict
from ratchet.profile.profile import Profile, to_json
from ratchet.settings import DriftSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Conclusion:
    verdict: Verdict
    retrain: bool  # drifted, and the cooldown is over
    reason: str


@dataclass(frozen=True)
class Checks:
    """The earlier checks of a model, read from the tags of their runs."""

    client: "MlflowClient"
    model: str

    def findings(self, reference: Profile, most: int) -> list[Verdict]:
        """Return earlier findings against the same reference, the newest first."""
        if not most:
            return []
        condition = f"tags.reference = '{digest(reference)}' and tags.finding != 'insufficient'"
        return [run.data.tags["finding"] for run in self._runs(condition, most)]

    def hours_since_retrain(self) -> float | None:
        for run in self._runs("tags.retrain = 'true'", 1):
            return float(time.time() * 1000 - run.info.start_time) / HOUR_MS
        return None

    def _runs(self, condition: str, most: int) -> Sequence["Run"]:  # type: ignore[name-defined]  # noqa: F821
        experiments = [one.experiment_id for one in self.client.search_experiments()]
        return self.client.search_runs(
            experiments,
            f"tags.step = 'drift' and tags.model = '{self.model}' and {condition}",
            max_results=most,
            order_by=["attributes.start_time DESC"],
        )


def tags(model: str, reference: Profile, drift: Drift, conclusion: Conclusion) -> dict[str, str]:
    return {
        "model": model,
        "reference": digest(reference),
        "finding": drift.finding,
        "verdict": conclusion.verdict,
        "retrain": str(conclusion.retrain).lower(),
    }


def digest(profile: Profile) -> str:
    return hashlib.sha256(to_json(profile).encode()).hexdigest()


def conclude(
    drift: Drift, reference: Profile, checks: Checks, settings: DriftSettings
) -> Conclusion:
    earlier = checks.findings(reference, settings.window - 1)
    verdict = confirmed([drift.finding, *earlier], settings)
    reason = drift.reason
    if settings.window > 1 and drift.finding != "insufficient":
        times = [drift.finding, *earlier].count("drifted")
        reason += (
            f"; {times} of the last {len(earlier) + 1} checks found drift; the verdict is"
            f" drifted if {settings.needed} of {settings.window} do"
        )
    wait = 0.0
    if verdict == "drifted" and settings.cooldown_hours:
        wait = hours_to_wait(checks.hours_since_retrain(), settings)
        if wait:
            reason += f"; the last retraining was recent, the next is possible in {wait:.1f} hours"
    return Conclusion(verdict, verdict == "drifted" and not wait, reason)


def confirmed(findings: Sequence[Verdict], settings: DriftSettings) -> Verdict:
    """Return the verdict over the last checks, this one first: N of the last M must find drift.

    >>> twice_of_three = DriftSettings(needed=2, window=3)
    >>> confirmed(["drifted", "stable", "drifted"], twice_of_three)
    'drifted'
    >>> confirmed(["drifted", "stable", "stable"], twice_of_three)
    'stable'
    >>> confirmed(["insufficient", "drifted", "drifted"], twice_of_three)
    'insufficient'
    """
    if findings[0] == "insufficient":
        return "insufficient"
    return "drifted" if findings.count("drifted") >= settings.needed else "stable"


def hours_to_wait(since_retrain: float | None, settings: DriftSettings) -> float:
    """Return the hours until the cooldown is over.

    >>> hours_to_wait(5.0, DriftSettings(cooldown_hours=24))
    19.0
    >>> hours_to_wait(None, DriftSettings(cooldown_hours=24))
    0.0
    """
    return 0.0 if since_retrain is None else max(0.0, settings.cooldown_hours - since_retrain)
