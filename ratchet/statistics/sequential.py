"""Evidence that may be looked at as often as one likes.

Every statistic here is an e-process: a non-negative process that starts at 1 and whose mean stays
at most 1, at whatever moment one stops, as long as the null hypothesis is true. By Ville's
inequality it ever reaches 1/alpha with a probability of at most alpha. So there is no number of
looks to plan and no correction for them. The proofs and the sources: docs/promotion.md.

No well-kept library offers them for a split that changes, so they stand here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln, logsumexp, xlog1py, xlogy

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.integer]

# A bet's size, in units of the effect that is looked for, and its share of the capital. Two sizes
# around the effect find it soonest; the small one finds what is smaller, in the end.
Bets = tuple[tuple[float, float], ...]
BETS: Bets = ((1.2, 0.475), (0.6, 0.475), (0.2, 0.05))
MOST_AT_STAKE = 0.8  # of the capital, on any one outcome
SPREADS = (10.0, 1000.0)  # of the share of arm B around the split: gross faults, and small ones


@dataclass(frozen=True)
class Scores:
    """One number a unit, whose mean is the difference staging less prod, and what bounds it.

    Bounds and variance of a unit are known before its outcome is: they go by the earlier ones.
    """

    difference: Floats
    least: Floats
    most: Floats
    variance: Floats

    def begun(self, units: int) -> "Scores":
        parts = (self.difference, self.least, self.most, self.variance)
        return Scores(*(part[:units] for part in parts))


@dataclass(frozen=True)
class Process:
    """Log e-values after each unit: for staging being better than the null, and for worse."""

    promote: Floats
    reject: Floats


def randomised(
    outcome: Floats, arm_b: Bools, split: Floats, alike: Bools | None = None,
    answer_alone: bool = False,
) -> Scores:  # fmt: skip
    """Units that one arm answered: the outcome in [0, 1], the arm, and P(arm B) at assignment.

    phi = (Y - h) (A/pi - (1-A)/(1-pi)), where h is the mean of the earlier outcomes. The split is
    known by design, so phi's mean is the difference whatever h is; a good h makes it vary less.
    `alike` marks units to which both versions say the same: known without the assignment, so they
    may have an h of their own. With `answer_alone` the outcome depends on nothing but the answer:
    on those units the versions differ by exactly nothing.

    >>> Y, A, pi = np.array([1.0, 0, 1]), np.array([True, False, True]), np.full(3, 0.5)
    >>> randomised(Y, A, pi).difference.round(3).tolist()
    [1.0, 1.333, 1.0]
    """
    h = _mean_before(outcome, alike)
    sign = np.where(arm_b, 1 / split, -1 / (1 - split))
    residual = outcome - h
    if alike is not None and answer_alone:
        residual = np.where(alike, 0.0, residual)
    variance = _mean_before(residual**2, start=0.25) / (split * (1 - split))
    least = -np.maximum(h / split, (1 - h) / (1 - split))
    most = np.maximum((1 - h) / split, h / (1 - split))
    return Scores(residual * sign, least, most, variance)


def paired(staging: Floats, prod: Floats) -> Scores:
    """Units that both versions answered: the outcome of each.

    >>> paired(np.array([1.0, 0]), np.array([0.0, 0])).difference.tolist()
    [1.0, 0.0]
    """
    difference = staging - prod
    ones = np.ones_like(difference)
    variance = _mean_before(difference**2, start=0.25)
    return Scores(difference, -ones, ones, variance)


def _mean_before(values: Floats, alike: Bools | None = None, start: float = 0.5) -> Floats:
    """Of the earlier units (that are alike, or differ, as this one does); two at `start` first."""
    if alike is None:
        earlier = np.arange(values.shape[-1])
        return (2 * start + np.cumsum(values, -1) - values) / (2 + earlier)
    means = np.empty_like(values)
    for mine in (alike, ~alike):
        count, total = np.cumsum(mine, -1) - 1, np.cumsum(np.where(mine, values, 0), -1) - values
        np.copyto(means, (2 * start + total) / np.maximum(1, 2 + count), where=mine)
    return means


def betting(scores: Scores, null: float, effect: float, bets: Bets = BETS) -> Process:
    """E = sum_k w_k prod_i (1 + lambda_ki (phi_i - null)); the mirrored one for the rejection.

    The lambda that makes a mean difference of d grow fastest is about d / variance; `effect` is
    the d that is looked for. It decides how soon something is found, never how often wrongly.

    >>> rng = np.random.default_rng(1)
    >>> arm_b, split = rng.random(2000) < 0.5, np.full(2000, 0.5)
    >>> right = (rng.random(2000) < np.where(arm_b, 0.95, 0.90)).astype(float)
    >>> found = betting(randomised(right, arm_b, split), null=0.0, effect=0.05).promote
    >>> int(np.argmax(found >= np.log(1 / 0.05))), round(float(found[-1]), 3)
    (1782, 4.099)
    """
    gain = scores.difference - null
    return Process(
        promote=_log_wealth(gain, null - scores.least, scores.variance, effect, bets),
        reject=_log_wealth(-gain, scores.most - null, scores.variance, effect, bets),
    )


def _log_wealth(gain: Floats, worst: Floats, variance: Floats, effect: float, bets: Bets) -> Floats:
    total = np.full(gain.shape, -np.inf)
    for size, weight in bets:
        stake = np.minimum(size * effect / variance, MOST_AT_STAKE / worst)
        np.logaddexp(total, np.log(weight) + np.cumsum(np.log1p(stake * gain), -1), out=total)
    return total


def growth(scores: Scores, null: float, effect: float) -> tuple[float, float]:
    """What a unit adds to the log e-values, promote and reject, if all go on as so far."""
    last = len(scores.difference) - 1
    gain, variance = scores.difference - null, scores.variance[last]

    def best(gain: Floats, worst: float) -> float:
        stakes = [min(size * effect / variance, MOST_AT_STAKE / worst) for size, _ in BETS]
        return max(float(np.log1p(np.maximum(stake * gain, -0.95)).mean()) for stake in stakes)

    return best(gain, null - scores.least[last]), best(-gain, scores.most[last] - null)


def confidence_interval(scores: Scores, effect: float, alpha: float) -> tuple[float, float]:
    """The differences that neither side refutes at alpha; at any moment, by the same bets.

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

    def refuted(null: float, below: bool) -> bool:
        gain = scores.difference - null if below else null - scores.difference
        worst = null - scores.least if below else scores.most - null
        largest = MOST_AT_STAKE / np.maximum(worst, 1e-9)
        logs = []
        for size, weight in BETS:
            stake = np.minimum(size * effect / scores.variance, largest)
            logs.append(np.log(weight) + float(np.log1p(stake * gain).sum()))
        return bool(logsumexp(logs) >= limit)

    return (
        _edge(lambda null: refuted(null, True), centre, -1.0, reach),
        _edge(lambda null: refuted(null, False), centre, 1.0, reach),
    )


def _edge(refuted: Callable[[float], bool], inner: float, end: float, reach: float) -> float:
    """Between the centre and the end: where what is refuted begins."""
    near = inner + float(np.clip(end - inner, -reach, reach))
    outer = near if refuted(near) else end
    for _ in range(9):
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if refuted(middle) else (outer, middle)
    return outer


def mean_interval(total: float, units: int, alpha: float) -> tuple[float, float]:
    """A confidence sequence of a mean in [0, 1]: Robbins' mixture, closed by a Beta(1/2, 1/2).

    {p: B(1/2 + s, 1/2 + n - s) / B(1/2, 1/2) < p^s (1-p)^(n-s) / alpha}. Exact for right and
    wrong; for costs it holds too, because the bets are convex in the outcome.

    >>> [round(end, 4) for end in mean_interval(90, 100, 0.05)]
    [0.7725, 0.9709]
    >>> mean_interval(0, 0, 0.05)
    (0.0, 1.0)
    """
    if not units:
        return 0.0, 1.0
    evidence = betaln(0.5 + total, 0.5 + units - total) - betaln(0.5, 0.5)

    def beyond(p: float) -> float:
        return float(evidence - xlogy(total, p) - xlog1py(units - total, -p) + np.log(alpha))

    mean, tiny = total / units, 1e-12
    low = brentq(beyond, tiny, mean) if beyond(tiny) > 0 and mean > tiny else 0.0
    high = brentq(beyond, mean, 1 - tiny) if beyond(1 - tiny) > 0 and mean < 1 - tiny else 1.0
    return float(low), float(high)


def mcnemar_log_e(won: NDArray[np.int64] | int, lost: NDArray[np.int64] | int) -> Floats:
    """The exact sequential McNemar: staging alone right `won` times, prod alone right `lost` times.

    Under the null a discordant unit is won with probability at most 1/2. The alternatives are won
    with q = 0.66, q = 0.8 and, with a twentieth of the capital, any q above 1/2:
    2^(b+c+1) B(1+b, 1+c) [1 - I_1/2(1+b, 1+c)].

    >>> round(float(np.exp(mcnemar_log_e(20, 5))), 1)
    79.0
    >>> round(float(np.exp(mcnemar_log_e(10, 10))), 3)
    0.18
    """
    b, c = np.asarray(won, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    with np.errstate(divide="ignore"):
        above = np.log(betainc(1 + c, 1 + b, 0.5))
    uniform = (b + c + 1) * np.log(2) + betaln(1 + b, 1 + c) + above
    points = [np.log(0.475) + b * np.log(2 * q) + c * np.log(2 - 2 * q) for q in (0.66, 0.8)]
    log_e: Floats = logsumexp([*points, np.log(0.05) + uniform], axis=0)
    return log_e


def sample_ratio_log_e(
    arm_b: NDArray[np.int64] | int, units: NDArray[np.int64] | int, split: float
) -> Floats:
    """Lindon and Malek's sequential multinomial test for two arms: Beta priors around the split.

    >>> round(float(sample_ratio_log_e(10_100, 20_000, 0.5)), 2)
    -1.16
    >>> round(float(sample_ratio_log_e(26_000, 50_000, 0.5)), 2)
    36.76
    """
    b, a = np.asarray(arm_b, dtype=float), np.asarray(units) - np.asarray(arm_b, dtype=float)
    tested = [
        betaln(spread * split + b, spread * (1 - split) + a)
        - betaln(spread * split, spread * (1 - split))
        for spread in SPREADS
    ]
    under_the_null = b * np.log(split) + a * np.log1p(-split)
    log_e: Floats = logsumexp(tested, axis=0) - np.log(len(SPREADS)) - under_the_null
    return log_e
