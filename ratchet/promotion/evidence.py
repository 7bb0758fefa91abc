"""The evidence of a test: e-processes for a promotion and for a rejection."""

from dataclasses import dataclass

import numpy as np

from ratchet.promotion.trial import Evidence, First
from ratchet.promotion.units import Units
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Floats
from ratchet.statistics.betting import (
    Process,
    Scores,
    betting,
    confidence_interval,
    growth,
    randomised,
)
from ratchet.statistics.mcnemar import mcnemar_log_e

POINTS_OF_CURVE = 300


@dataclass(frozen=True)
class Deadline:
    """The end of a test. `draw` is a number in (0, 1] that the test's data do not influence.

    For an e-process E, a stopping time T and an independent uniform U, the probability that E ever
    reaches 1/alpha before T, or U/alpha at T, is at most alpha (randomised Ville's inequality;
    Ramdas and Manole, arXiv 2304.02611). So the limit may be multiplied by U at the deadline, once.
    """

    time: float = float("inf")
    draw: float = 1.0


@dataclass(frozen=True)
class Sequence:
    """Units in the order in which they counted, and the time when each did."""

    units: Units
    times: Floats


def evidence_of(
    labelled: Sequence,
    everyone: Sequence | None,
    users: int,
    earliest: float,
    settings: PromotionSettings,
    deadline: Deadline | None = None,
) -> Evidence:
    """Return the evidence. A promotion needs both sequences and a time of at least `earliest`.

    `earliest` is infinite if that time has not come. `everyone` holds all units that are old
    enough, with a missing label as a wrong answer. It is None if no label is missing, or if labels
    may be assumed to be missing at random. `deadline` is given once it has passed.
    """
    limit, null = float(np.log(1 / settings.alpha)), -settings.margin
    effect = settings.margin or settings.mde  # with a margin, the expected difference is 0
    scores, count = labelled.units.scores(settings), len(labelled.units.outcome)
    is_exact = _is_exact(settings)
    process = _mcnemar(scores) if is_exact else betting(scores, null, effect)
    growths = growth(scores, null, effect) if count else (0.0, 0.0)
    promotion = [(process.promote, labelled.times)]
    wait = _wait(process.promote, growths[0], limit)
    if everyone is not None:
        all_scores = everyone.units.scores(settings)
        second = betting(all_scores, null, effect).promote
        promotion.append((second, everyone.times))
        second_growth = growth(all_scores, null, effect)[0] if len(second) else 0.0
        wait = max(wait, _wait(second, second_growth, limit))
    if deadline:
        promotion = [_until(deadline.time, *one) for one in promotion]
    first, first_at = _first(process.reject, promotion, labelled.times, earliest, limit)
    wait = min(wait, _wait(process.reject, growths[1], limit))
    at_deadline = False
    if deadline and first == "neither":
        at_deadline = _reaches(promotion, limit + float(np.log(deadline.draw)))
        first = "promote" if at_deadline else "neither"
    return Evidence(
        method="exact sequential McNemar" if is_exact else f"betting, {settings.method}",
        log_e_promote=float(process.promote.max(initial=0.0)),
        log_e_reject=float(process.reject.max(initial=0.0)),
        log_e_missing_wrong=None if everyone is None else float(second.max(initial=0.0)),
        threshold=limit,
        users=users,
        labelled=count,
        difference=float(scores.difference.mean()) if count else None,
        interval=_interval(scores, effect, settings.alpha, first_at),
        null=null,
        first=first,
        first_at=first_at,
        at_deadline=at_deadline,
        deadline_threshold=limit + float(np.log(deadline.draw)) if deadline else None,
        more_needed=max(1, round(wait)) if np.isfinite(wait) else None,
        curve=_curve(process),
    )


def _is_exact(settings: PromotionSettings) -> bool:
    """McNemar's test needs outcomes of 0 and 1: one request per unit, no costs, no margin."""
    one_request = settings.unit == "request" or not settings.window_days
    return (
        settings.method == "paired" and one_request and not settings.margin and not settings.costs
    )


def _mcnemar(scores: Scores) -> Process:
    won = np.cumsum(scores.difference > 0, dtype=np.int64)
    lost = np.cumsum(scores.difference < 0, dtype=np.int64)
    return Process(mcnemar_log_e(won, lost), mcnemar_log_e(lost, won))


def _first(
    reject: Floats,
    promotion: list[tuple[Floats, Floats]],
    times: Floats,
    earliest: float,
    limit: float,
) -> tuple[First, int | None]:
    """Return the side that was decided first, and the number of labelled units at that moment."""
    rejected_at = int(np.argmax(reject >= limit)) + 1 if (reject >= limit).any() else None
    moments = [_reached(log_e, at, earliest, limit) for log_e, at in promotion]
    if any(moment is None for moment in moments):
        return ("neither", None) if rejected_at is None else ("reject", rejected_at)
    promoted_at = moments[0][0]  # type: ignore[index]
    if len(moments) > 1:
        moment = max(time for _, time in moments)  # type: ignore[misc]
        promoted_at = max(promoted_at, int(np.searchsorted(times, moment, "right")))
    if rejected_at is not None and rejected_at <= promoted_at:
        return "reject", rejected_at
    return "promote", promoted_at


def _reached(
    log_e: Floats, times: Floats, earliest: float, limit: float
) -> tuple[int, float] | None:
    """Return the count and the time of the first unit that holds `limit` at `earliest` or later."""
    if earliest == float("inf"):
        return None
    start = max(0, int(np.searchsorted(times, earliest, "right")) - 1)
    later = np.flatnonzero(log_e[start:] >= limit)
    if not len(later):
        return None
    index = start + int(later[0])
    return index + 1, max(float(times[index]), earliest)


def _until(moment: float, log_e: Floats, times: Floats) -> tuple[Floats, Floats]:
    count = int(np.searchsorted(times, moment, "right"))
    return log_e[:count], times[:count]


def _reaches(promotion: list[tuple[Floats, Floats]], limit: float) -> bool:
    """Return whether each sequence ends at or above the limit."""
    return all(len(log_e) > 0 and log_e[-1] >= limit for log_e, _ in promotion)


def log_e_worse(values: Floats, arm_b: Bools, split: Floats, null: float, effect: float) -> float:
    """Return the log e-value that arm B's mean is below arm A's by more than -null."""
    if (values == values[:1]).all():
        return 0.0
    return float(betting(randomised(values, arm_b, split), null, effect).reject.max(initial=0.0))


def log_e_unequal(values: Floats, arm_b: Bools, split: Floats, effect: float) -> float:
    """Return the log e-value that the means differ: half of the capital on either side."""
    if (values == values[:1]).all():
        return 0.0
    process = betting(randomised(values, arm_b, split), 0.0, effect)
    both = np.logaddexp(process.promote, process.reject) - np.log(2)
    return float(both.max(initial=0.0))


def _interval(
    scores: Scores, effect: float, alpha: float, first_at: int | None
) -> tuple[float, float]:
    """The interval holds at all moments at once, so that of the decision's moment still holds."""
    if not len(scores.difference):
        return -1.0, 1.0
    low, high = confidence_interval(scores, effect, alpha)
    if first_at is None:
        return low, high
    then = confidence_interval(scores.first(first_at), effect, alpha)
    both = max(low, then[0]), min(high, then[1])
    return both if both[0] <= both[1] else then


def _wait(log_e: Floats, growth: float, limit: float) -> float:
    """Return the number of further units until the limit, if the trend continues."""
    if not len(log_e) or growth <= 0:
        return float("inf")
    return max(0.0, (limit - float(log_e[-1])) / growth)


def _curve(process: Process) -> list[tuple[int, float, float]]:
    n = len(process.promote)
    if not n:
        return []
    peaks = [int(process.promote.argmax()), int(process.reject.argmax())]
    points = np.unique([*np.linspace(0, n - 1, min(n, POINTS_OF_CURVE)).astype(int), *peaks])
    return [(int(i) + 1, float(process.promote[i]), float(process.reject[i])) for i in points]
