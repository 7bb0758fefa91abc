"""Tests by betting: evidence about a difference of two arms that holds at any number of looks.

Each statistic here is an e-process. It starts at 1, is never negative, and if the null hypothesis
is true its expected value stays at most 1 at every moment, whatever the rule for stopping. By
Ville's inequality it therefore ever reaches 1/alpha with probability at most alpha. No number of
looks has to be planned and none has to be corrected for. docs/promotion.md has the proof.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 2024
(arXiv 2010.09686); Turner, Ly and Gruenwald, JSPI 230, 2024. No maintained library offers these
tests for a split that changes during the test, so they are implemented here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ratchet.statistics.arrays import Bools, Codes, Floats

# Each bet is a size, in units of the effect that should be found, and its share of the capital.
# The first two find that effect soonest; the small one finds smaller effects in the end.
Bets = tuple[tuple[float, float], ...]
BETS: Bets = ((1.2, 0.475), (0.6, 0.475), (0.2, 0.05))
LARGEST_STAKE = 0.8  # share of the capital that one outcome can cost


@dataclass(frozen=True)
class Scores:
    """One number per unit, whose mean is the difference staging minus prod.

    Bounds and variance of a unit depend on earlier units only: a bet needs them before the outcome.
    """

    difference: Floats
    lower_bound: Floats
    upper_bound: Floats
    variance: Floats

    def first(self, units: int) -> "Scores":
        parts = (self.difference, self.lower_bound, self.upper_bound, self.variance)
        return Scores(*(part[:units] for part in parts))


@dataclass(frozen=True)
class Process:
    """Log e-values after each unit, against "staging is no better" and "staging is no worse"."""

    promote: Floats
    reject: Floats


def randomised(
    outcome: Floats,
    arm_b: Bools,
    split: Floats,
    stratum: Codes | None = None,
    certain: Bools | None = None,
) -> Scores:
    """Return the scores of units that one arm answered.

        phi = (Y - h) (A / pi - (1 - A) / (1 - pi))

    Y in [0, 1] is the outcome, A is 1 in arm B, pi is the probability of arm B at the assignment,
    and h is the mean of the earlier outcomes. Because pi is known, the mean of phi is the
    difference of the arms for every h; a good h only makes its variance smaller.

    `stratum` numbers groups of units that are known before the assignment. Each has its own h.
    `certain` marks units whose outcome does not depend on the arm: they score 0.

    >>> Y, A, pi = np.array([1.0, 0, 1]), np.array([True, False, True]), np.full(3, 0.5)
    >>> randomised(Y, A, pi).difference.round(3).tolist()
    [1.0, 1.333, 1.0]
    """
    h = _mean_of_earlier(outcome)
    if stratum is not None:
        h = _mean_of_stratum(outcome, stratum, h)
    sign = np.where(arm_b, 1 / split, -1 / (1 - split))
    residual = outcome - h
    if certain is not None:
        residual = np.where(certain, 0.0, residual)
    return Scores(
        difference=residual * sign,
        lower_bound=-np.maximum(h / split, (1 - h) / (1 - split)),
        upper_bound=np.maximum((1 - h) / split, h / (1 - split)),
        variance=_mean_of_earlier(residual**2, start=0.25) / (split * (1 - split)),
    )


def paired(staging: Floats, prod: Floats) -> Scores:
    """Return the scores of units that both versions answered, from the outcome of each version.

    >>> paired(np.array([1.0, 0]), np.array([0.0, 0])).difference.tolist()
    [1.0, 0.0]
    """
    difference = staging - prod
    ones = np.ones_like(difference)
    variance = _mean_of_earlier(difference**2, start=0.25)
    return Scores(difference, -ones, ones, variance)


def _mean_of_earlier(values: Floats, start: float = 0.5) -> Floats:
    """Return, for each unit, the mean of the earlier units and of two at `start`."""
    earlier = np.arange(values.shape[-1])
    return (2 * start + np.cumsum(values, -1) - values) / (2 + earlier)


def _mean_of_stratum(values: Floats, stratum: Codes, mean: Floats) -> Floats:
    """Return, for each unit, the mean of the earlier units of its stratum and of two at `mean`."""
    means = np.empty_like(values)
    for code in np.unique(stratum):
        mine = stratum == code
        inside = np.where(mine, values, 0)
        earlier, total = np.cumsum(mine, -1) - 1, np.cumsum(inside, -1) - inside
        np.copyto(means, (2 * mean + total) / np.maximum(1, 2 + earlier), where=mine)
    return means


def betting(scores: Scores, null: float, effect: float, bets: Bets = BETS) -> Process:
    """Return the e-process against "the difference is at most `null`", and its mirror image.

        E_t = sum_k w_k prod_{i<=t} [1 + lambda_ki (phi_i - null)]

    A lambda of about d / variance makes E grow fastest if the true difference is d. `effect` is the
    difference that should be found soon. It changes how fast E grows, never its error rate.

    >>> rng = np.random.default_rng(1)
    >>> arm_b, split = rng.random(2000) < 0.5, np.full(2000, 0.5)
    >>> right = (rng.random(2000) < np.where(arm_b, 0.95, 0.90)).astype(float)
    >>> log_e = betting(randomised(right, arm_b, split), null=0.0, effect=0.05).promote
    >>> int(np.argmax(log_e >= np.log(1 / 0.05))), round(float(log_e[-1]), 3)
    (1782, 4.099)
    """
    gain = scores.difference - null
    return Process(
        promote=_log_wealth(gain, null - scores.lower_bound, scores.variance, effect, bets),
        reject=_log_wealth(-gain, scores.upper_bound - null, scores.variance, effect, bets),
    )


def _log_wealth(
    gain: Floats, largest_loss: Floats, variance: Floats, effect: float, bets: Bets
) -> Floats:
    total = np.full(gain.shape, -np.inf)
    for size, weight in bets:
        stake = np.minimum(size * effect / variance, LARGEST_STAKE / largest_loss)
        np.logaddexp(total, np.log(weight) + np.cumsum(np.log1p(stake * gain), -1), out=total)
    return total


def growth(scores: Scores, null: float, effect: float) -> tuple[float, float]:
    """Return what one unit adds to the log e-values, promote and reject, if the trend continues."""
    last = len(scores.difference) - 1
    gain, variance = scores.difference - null, scores.variance[last]

    def fastest(gain: Floats, largest_loss: float) -> float:
        stakes = [min(size * effect / variance, LARGEST_STAKE / largest_loss) for size, _ in BETS]
        return max(float(np.log1p(np.maximum(stake * gain, -0.95)).mean()) for stake in stakes)

    return (
        fastest(gain, null - scores.lower_bound[last]),
        fastest(-gain, scores.upper_bound[last] - null),
    )


def confidence_interval(scores: Scores, effect: float, alpha: float) -> tuple[float, float]:
    """Return the differences that neither e-process refutes at alpha; valid at any moment.

    >>> rng = np.random.default_rng(1)
    >>> arm_b, split = rng.random(2000) < 0.5, np.full(2000, 0.5)
    >>> right = (rng.random(2000) < np.where(arm_b, 0.95, 0.90)).astype(float)
    >>> scores = randomised(right, arm_b, split)
    >>> [round(end, 3) for end in confidence_interval(scores, effect=0.05, alpha=0.05)]
    [0.005, 0.07]
    """
    n = len(scores.difference)
    centre = float(np.clip(scores.difference.mean(), -1, 1))
    reach = float(effect + 10 * np.sqrt(scores.variance[-1] / n))
    limit = np.log(1 / alpha)

    def is_refuted(null: float, from_below: bool) -> bool:
        gain = scores.difference - null if from_below else null - scores.difference
        loss = null - scores.lower_bound if from_below else scores.upper_bound - null
        largest_stake = LARGEST_STAKE / np.maximum(loss, 1e-9)
        logs = []
        for size, weight in BETS:
            stake = np.minimum(size * effect / scores.variance, largest_stake)
            logs.append(np.log(weight) + float(np.log1p(stake * gain).sum()))
        return bool(logsumexp(logs) >= limit)

    return (
        _bisect(lambda null: is_refuted(null, True), centre, -1.0, reach),
        _bisect(lambda null: is_refuted(null, False), centre, 1.0, reach),
    )


def _bisect(is_refuted: Callable[[float], bool], centre: float, end: float, reach: float) -> float:
    """Return the value between the centre and the end from which on values are refuted."""
    near = centre + float(np.clip(end - centre, -reach, reach))
    outer = near if is_refuted(near) else end
    for _ in range(9):
        middle = (outer + centre) / 2
        outer, centre = (middle, centre) if is_refuted(middle) else (outer, middle)
    return outer
