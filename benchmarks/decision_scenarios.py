"""The scenarios of benchmarks.decision_quality: the true rates of two versions, and traffic."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.decision_rules import (
    ALPHA,
    LENGTH,
    Ends,
    Traffic,
    by_betting,
    counted,
    counts_at_looks,
    counts_so_far,
    joined,
    log_of,
    z_test,
)
from ratchet.promotion.units import CONFIDENCE
from ratchet.statistics.arrays import Bools, Codes

TESTS, BATCH = 2000, 100


@dataclass(frozen=True)
class Scenario:
    """The true rates of one scenario, and the limits of its results.

    The limits are for the shares of promoted and rejected tests and the mean number of requests.
    """

    name: str
    prod: float = 0.9
    staging: float = 0.9
    split: float = 0.5
    most_promoted: float = 1.0
    least_promoted: float = 0.0
    most_rejected: float = 1.0
    least_rejected: float = 0.0
    most_mean: float = float("inf")


EQUAL = {"most_promoted": ALPHA, "most_rejected": ALPHA}
SCENARIOS = (
    Scenario("equal .90, 50/50", **EQUAL),
    Scenario("equal .90, 80/20", split=0.2, **EQUAL),
    Scenario("equal .99, 80/20", 0.99, 0.99, 0.2, **EQUAL),
    Scenario(".90 -> .95, 50/50", 0.90, 0.95, 0.5, least_promoted=0.99, most_mean=870),
    Scenario(".90 -> .95, 80/20", 0.90, 0.95, 0.2, least_promoted=0.98, most_mean=1310),
    Scenario(".90 -> .92, 50/50", 0.90, 0.92, 0.5, least_promoted=0.51),
    Scenario(".95 -> .90, 80/20", 0.95, 0.90, 0.2, least_rejected=0.99, most_mean=1230),
)
PAIRED = Scenario("paired, discordance (.07, .02)", least_promoted=0.99, most_mean=290)
PAIRED_EQUAL = Scenario("paired, discordance (.05, .05)", **EQUAL)
ANSWERS = Scenario("A/B, answers on record, (.07, .02)", least_promoted=0.99, most_mean=870)
ANSWERS_20 = Scenario(
    "A/B, answers on record, (.07, .02), 80/20", split=0.2, least_promoted=0.98, most_mean=1310
)
ANSWERS_EQUAL = Scenario("A/B, answers on record, (.05, .05)", **EQUAL)
CENTRED = Scenario("A/B, answers as covariate, (.07, .02)", least_promoted=0.99, most_mean=870)
DEADLINE = Scenario(
    ".90 -> .92, 50/50, drawn limit at the deadline", 0.9, 0.92, least_promoted=0.58
)
DEADLINE_EQUAL = Scenario("equal .90, 50/50, drawn limit at the deadline", **EQUAL)
# Prod's confidence is its true chance to be right, with an R2 of .13 or .28 of the outcome.
CONFIDENT = (
    (Scenario(".90 -> .95, confidence known, R2 .13", 0.9, 0.95, 0.5, least_promoted=0.99), 0.13),
    (Scenario(".90 -> .95, confidence known, R2 .28", 0.9, 0.95, 0.5, least_promoted=0.99), 0.28),
    (Scenario("equal .90, confidence known, R2 .13", **EQUAL), 0.13),
    (Scenario("equal .90, confidence known, R2 .28", **EQUAL), 0.28),
    (Scenario("equal .90, 80/20, confidence known, R2 .28", split=0.2, **EQUAL), 0.28),
)
CORRELATED = Scenario("equal, 250 users of 20 correlated requests", **EQUAL)
LATE = Scenario("equal, B's wrong labels 1500 requests late", **EQUAL)


def traffic(scenario: Scenario, rng: np.random.Generator) -> Iterator[Traffic]:
    for _ in range(TESTS // BATCH):
        shape = (BATCH, LENGTH)
        arm_b = rng.random(shape) < scenario.split
        right = rng.random(shape) < np.where(arm_b, scenario.staging, scenario.prod)
        yield Traffic(right.astype(float), arm_b, np.full(shape, scenario.split))


def both_answered(
    won: float, lost: float, split: float, rng: np.random.Generator
) -> Iterator[tuple[Traffic, Bools, Bools]]:
    """Yield traffic, where only staging is right, and where only prod is; neither is on 3 %."""
    for _ in range(TESTS // BATCH):
        drawn = rng.random((BATCH, LENGTH))
        staging, prod = drawn < won, (drawn >= won) & (drawn < won + lost)
        both = (drawn >= won + lost) & (drawn < 0.97)
        arm_b = rng.random(drawn.shape) < split
        right = np.where(arm_b, staging, prod) | both
        yield Traffic(right.astype(float), arm_b, np.full(drawn.shape, split)), staging, prod


def confident(
    scenario: Scenario, r_squared: float, rng: np.random.Generator
) -> Iterator[tuple[Traffic, Codes]]:
    """Yield traffic, and the stratum of prod's confidence for each request."""
    mean, size = scenario.prod, 1 / r_squared - 1
    better = (scenario.staging - mean) / (1 - mean)
    for _ in range(TESTS // BATCH):
        confidence = rng.beta(size * mean, size * (1 - mean), (BATCH, LENGTH))
        arm_b = rng.random(confidence.shape) < scenario.split
        chance = np.where(arm_b, confidence + (1 - confidence) * better, confidence)
        right = (rng.random(confidence.shape) < chance).astype(float)
        tests = Traffic(right, arm_b, np.full(right.shape, scenario.split))
        yield tests, np.searchsorted(CONFIDENCE, confidence)


def correlated(rng: np.random.Generator) -> tuple[Ends, Ends]:
    """Decide on correlated users at the end of a test; the peer is a z-test."""
    ours, theirs = [], []
    user = np.repeat(np.arange(250), 20)
    rng.shuffle(user)
    for _ in range(TESTS):
        arm = rng.random(250) < 0.5
        right = rng.random(LENGTH) < rng.beta(4.5, 0.5, 250)[user]  # intra-class correlation 1/6
        test = Traffic(right[None].astype(float), arm[user][None], np.full((1, LENGTH), 0.5))
        theirs.append(z_test(counts_at_looks(test)))
        ours.append(counted(log_of(test, user)))
    return joined(ours), joined(theirs)


def late_labels(rng: np.random.Generator) -> tuple[Ends, Ends]:
    """Decide on late labels, with our rule and with a z-test.

    Our rule waits as long as labels take, and counts the requests that are old enough, in their
    order. The z-test counts the labels that are there.
    """
    scenario = Scenario("", 0.9, 0.9, 0.5)
    ours, theirs = [], []
    for tests in traffic(scenario, rng):
        matured = tests.begun(LENGTH - 1500)
        ours.append(by_betting(matured))
        here = np.arange(LENGTH) + np.where((tests.right == 0) & tests.arm_b, 1500, 0)
        theirs.append(z_test(counts_so_far(tests, here)))
    return joined(ours), joined(theirs)
