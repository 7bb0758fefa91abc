"""The watch after a promotion: is prod still as good as its test said?

A promotion stores the outcome of staging in its test, with its interval, as the tag `promised` of
the version. Later looks compare it with the outcomes of the requests that the version has answered
as prod. Both intervals hold at any number of looks, each with probability 1 - alpha. If the whole
interval of prod is below the promised one, the watch proposes a rollback. It moves nothing itself,
because requests can also have become harder for every version.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Assumed, Window
from ratchet.promotion.requests import DAY, requests_of
from ratchet.promotion.trial import Trial
from ratchet.promotion.units import Answers, labelled_units
from ratchet.registry.registry import LedgerLine, Registry
from ratchet.settings import PromotionSettings
from ratchet.statistics.intervals import mean_interval

COLUMNS = ("time", "user_id", "split", "prediction", "label", "label_time")
TAG = "promised"


@dataclass(frozen=True)
class Promise:
    """The outcome of a version as staging, and that of prod at the same time."""

    mean: float
    low: float  # the lower end of its interval
    labelled: int
    prod_mean: float | None


@dataclass(frozen=True)
class Watch:
    version: str
    promise: Promise
    labelled: int  # units since the promotion
    mean: float | None
    interval: tuple[float, float]

    @property
    def proposes_rollback(self) -> bool:
        return self.interval[1] < self.promise.low

    @property
    def sentence(self) -> str:
        now = f"no labels since v{self.version} is prod"
        if self.mean is not None:
            now = (
                f"since v{self.version} is prod, {100 * self.mean:.1f} % of its answers were right"
                f" (between {100 * self.interval[0]:.1f} and {100 * self.interval[1]:.1f} %,"
                f" {self.labelled:,} labelled)"
            )
        promised = f"its test said {100 * self.promise.mean:.1f} %, at least"
        text = f"{now}; {promised} {100 * self.promise.low:.1f} %"
        if self.proposes_rollback:
            text += '. A rollback is proposed: make rollback REASON="worse than its test said"'
        return text


def promised(trial: Trial) -> dict[str, str]:
    """Return the tag of a version that is promoted after this test."""
    if trial.b.mean is None:
        return {}
    promise = Promise(trial.b.mean, trial.b.interval[0], trial.b.labelled, trial.a.mean)
    return {TAG: json.dumps(asdict(promise))}


def watch(registry: Registry, settings: PromotionSettings, source: str) -> Watch | None:
    """Compare prod with its test; None if the last move of prod was no promotion by evidence.

    The watch reads the log of the first `deadline_days` after the promotion.
    """
    line = _promotion(registry)
    if line is None:
        return None
    version = line.moves["prod"][1] or ""
    promise = Promise(**json.loads(line.tags[version][TAG]))
    since = datetime.fromisoformat(line.time).timestamp()
    until = None if settings.deadline_days is None else since + settings.deadline_days * DAY
    window = Window(model_version=version, model=registry.model, since=since, until=until)
    log, now = read_log(source, window, COLUMNS, Assumed(0.0, since))
    # One arm: prod's answers, also those that it gave in place of a later staging.
    log = log.assign(split=0.5, assigned_arm="A", error=None, fallback=False)
    requests = requests_of(log, settings, now)
    one_arm = settings.model_copy(update={"method": "ab"})
    outcomes = labelled_units(requests, Answers(version, ""), one_arm).outcome
    total, labelled = float(outcomes.sum()), len(outcomes)
    return Watch(
        version,
        promise,
        labelled,
        total / labelled if labelled else None,
        mean_interval(total, labelled, settings.alpha),
    )


def _promotion(registry: Registry) -> LedgerLine | None:
    moves = [line for line in registry.ledger() if line.done and "prod" in line.moves]
    if not moves or TAG not in moves[-1].tags.get(moves[-1].moves["prod"][1] or "", {}):
        return None
    return moves[-1]
