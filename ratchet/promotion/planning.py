"""The duration of a test, simulated with the functions that decide."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ratchet.errors import InputError
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Floats
from ratchet.statistics.betting import betting, randomised

REPLICATIONS = 200
A_BATCH = 20
LONGEST = 20_000  # units of a simulated test
NO_DEADLINE = 90.0  # days
TRUE_DIFFERENCES = (-1.0, 0.0, 0.5, 1.0, 2.0)  # times promotion.mde


@dataclass(frozen=True)
class Plan:
    """The simulated results of tests with one true difference; units are labelled units."""

    difference: float
    promoted: float
    rejected: float
    median: int | None  # units until half of the tests are decided; None: fewer are decided
    most: int | None  # until nine in ten are decided
    horizon: int


def plans(
    settings: PromotionSettings, split: float, accuracy: float, units_a_day: int, seed: int
) -> Iterator[Plan]:
    if not 0 < split < 1:
        raise InputError(f"split={split}: expected a share between 0 and 1, such as 0.5")
    if not 0 < accuracy < 1:
        raise InputError(f"accuracy={accuracy}: expected prod's accuracy, between 0 and 1")
    if units_a_day < 1:
        raise InputError(f"users_a_day={units_a_day}: expected at least 1")
    days = settings.deadline_days or NO_DEADLINE
    horizon = int(min(LONGEST, max(1, days * units_a_day)))
    rng = np.random.default_rng(seed)
    for times in TRUE_DIFFERENCES:
        difference = times * (settings.margin or settings.mde)
        if 0 <= accuracy + difference <= 1:
            yield _plan(settings, split, accuracy, difference, horizon, rng)


def _plan(
    settings: PromotionSettings,
    split: float,
    accuracy: float,
    difference: float,
    horizon: int,
    rng: np.random.Generator,
) -> Plan:
    ends = [
        _ends(settings, split, accuracy, difference, horizon, rng)
        for _ in range(REPLICATIONS // A_BATCH)
    ]
    promoted, rejected = np.concatenate([e[0] for e in ends]), np.concatenate([e[1] for e in ends])
    decided = np.minimum(promoted, rejected)
    return Plan(
        difference=difference,
        promoted=float((promoted < rejected).mean()),
        rejected=float((rejected < promoted).mean()),
        median=_quantile(decided, 0.5),
        most=_quantile(decided, 0.9),
        horizon=horizon,
    )


def _ends(
    settings: PromotionSettings,
    split: float,
    accuracy: float,
    difference: float,
    horizon: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the units after which each test is promoted and rejected; infinity means never."""
    arm_b = rng.random((A_BATCH, horizon)) < split
    right = rng.random((A_BATCH, horizon)) < np.where(arm_b, accuracy + difference, accuracy)
    shares = np.full((A_BATCH, horizon), split)
    scores = randomised(right.astype(float), arm_b, shares)
    process = betting(scores, -settings.margin, settings.margin or settings.mde)
    limit = np.log(1 / settings.alpha)
    return _reached(process.promote, limit), _reached(process.reject, limit)


def _reached(log_e: Floats, limit: float) -> Floats:
    over = log_e >= limit
    return np.where(over.any(-1), over.argmax(-1) + 1.0, np.inf)


def _quantile(ends: Floats, share: float) -> int | None:
    value = np.sort(ends)[int(np.ceil(share * len(ends))) - 1]
    return int(value) if np.isfinite(value) else None
