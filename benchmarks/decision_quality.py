"""The error rates and the speed of the decision, next to a z-test and gbstats.

python -m benchmarks.decision_quality

Each scenario has 2000 seeded tests. A test has 5000 requests, and the decision is made after every
100 of them. A test without a decision counts as 5000 requests. The functions that decide are those
that steps.promote calls. gbstats is installed in .ratchet/gbstats.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.decision_cases import CASES, Case, kept_for_seven_days, play
from benchmarks.decision_cases import TESTS as CASE_TESTS
from benchmarks.decision_gate import MOST_SECONDS as MOST_GATE_SECONDS
from benchmarks.decision_gate import gate_rows, seconds_of_a_gate
from benchmarks.decision_rules import (
    ALPHA,
    LENGTH,
    LOOK,
    Ends,
    Traffic,
    by_betting,
    by_gbstats,
    by_mcnemar,
    counted,
    counts_at_looks,
    counts_so_far,
    joined,
    log_of,
    with_answers,
    z_test,
)
from ratchet.report import print_table
from ratchet.statistics.arrays import Bools
from ratchet.statistics.betting import Bets
from ratchet.statistics.sample_ratio import sample_ratio_log_e

TESTS, BATCH = 2000, 100
EQUAL_THIRDS: Bets = ((2.0, 1 / 3), (1.0, 1 / 3), (0.4, 1 / 3))  # the mixture is compared with it
MOST_SECONDS = 3.0


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


def sample_ratio(rng: np.random.Generator) -> tuple[float, float]:
    """Return the shares of tests called faulty: with a split two points off, and a correct one."""
    shares = []
    for truth in (0.52, 0.50):
        called = 0
        for _ in range(TESTS):
            arm_b = np.cumsum(rng.binomial(LOOK, truth, 50_000 // LOOK))
            users = np.arange(1, len(arm_b) + 1) * LOOK
            called += bool((sample_ratio_log_e(arm_b, users, 0.5) >= np.log(1000)).any())
        shares.append(called / TESTS)
    return shares[0], shares[1]


def seconds_for_a_million() -> tuple[float, float]:
    """Return the elapsed and the processor seconds of a decision on a million labelled users."""
    tests = next(traffic(Scenario("", 0.9, 0.905), np.random.default_rng(9)))
    flat = tests.as_one(1_000_000)
    log = log_of(flat, np.arange(1_000_000))
    clock, processor = time.perf_counter(), time.process_time()
    counted(log)
    return time.perf_counter() - clock, time.process_time() - processor


def row(
    scenario: Scenario, ours: Ends, others: Mapping[str, Ends] | None = None
) -> dict[str, object]:
    promoted, rejected = ours.rates
    holds = (
        scenario.least_promoted <= promoted <= scenario.most_promoted
        and scenario.least_rejected <= rejected <= scenario.most_rejected
        and ours.mean <= scenario.most_mean
    )
    columns: dict[str, object] = {
        "scenario": scenario.name,
        "promoted": promoted,
        "rejected": rejected,
        "mean requests": round(ours.mean),
        "must be": limits(scenario),
        "holds": holds,
    }
    for name in ("equal thirds", "z-test", "gbstats"):
        other = (others or {}).get(name)
        columns[name] = (
            f"{other.rates[0]:.3f} {other.rates[1]:.3f} {other.mean:.0f}" if other else ""
        )
    return columns


def limits(scenario: Scenario) -> str:
    texts = []
    if scenario.least_promoted:
        texts.append(f"promoted >= {scenario.least_promoted:g}")
    if scenario.least_rejected:
        texts.append(f"rejected >= {scenario.least_rejected:g}")
    if scenario.most_promoted < 1:
        texts.append(f"each <= {scenario.most_promoted:g}")
    if np.isfinite(scenario.most_mean):
        texts.append(f"mean <= {scenario.most_mean:g}")
    return ", ".join(texts)


def independent_rows() -> list[dict[str, object]]:
    ends, counts = {}, {}
    for number, scenario in enumerate(SCENARIOS):
        batches = list(traffic(scenario, np.random.default_rng(number)))
        counts[scenario.name] = np.concatenate([counts_at_looks(batch) for batch in batches])
        ends[scenario.name] = (
            joined([by_betting(batch) for batch in batches]),
            joined([by_betting(batch, EQUAL_THIRDS) for batch in batches]),
        )
    gbstats = by_gbstats(counts)
    return [
        row(
            one,
            ends[one.name][0],
            {
                "equal thirds": ends[one.name][1],
                "z-test": z_test(counts[one.name]),
                "gbstats": gbstats[one.name],
            },
        )
        for one in SCENARIOS
    ]


def answered_rows() -> list[dict[str, object]]:
    rows = []
    Rule = Callable[[Traffic, Bools, Bools], Ends]
    mcnemar: Rule = lambda _, staging, prod: by_mcnemar(staging, prod)  # noqa: E731
    answers: Rule = lambda tests, staging, prod: with_answers(tests, staging, prod, True)  # noqa: E731
    centred: Rule = lambda tests, staging, prod: with_answers(tests, staging, prod, False)  # noqa: E731
    for seed, (scenario, won, lost, rule) in enumerate(
        (
            (PAIRED, 0.07, 0.02, mcnemar),
            (PAIRED_EQUAL, 0.05, 0.05, mcnemar),
            (ANSWERS, 0.07, 0.02, answers),
            (ANSWERS_20, 0.07, 0.02, answers),
            (ANSWERS_EQUAL, 0.05, 0.05, answers),
            (CENTRED, 0.07, 0.02, centred),
        )
    ):
        batches = both_answered(won, lost, scenario.split, np.random.default_rng(100 + seed))
        rows.append(row(scenario, joined([rule(*one) for one in batches])))
    return rows


def case_rows() -> list[dict[str, object]]:
    table = []
    for case in CASES:
        promoted, rejected, mean = play(case, case.settings)
        holds = (
            case.least_promoted <= promoted
            and promoted <= with_error(case.most_promoted)
            and rejected <= with_error(case.most_rejected)
            and mean <= case.most_mean
        )
        table.append(
            {
                "case": case.name,
                "promoted": promoted,
                "rejected": rejected,
                "mean labelled": round(mean),
                "must be": case_limits(case),
                "holds": holds,
                "without": "" if case.before is None else rates(*play(case, case.before)),
            }
        )
    rng = np.random.default_rng(400)
    ends = joined([kept_for_seven_days(rng) for _ in range(100)])
    promoted, rejected = ends.rates
    table.append(
        {
            "case": "equal, the log keeps 7 of 30 days",
            "promoted": promoted,
            "rejected": rejected,
            "mean labelled": "",
            "must be": "each <= 0.05",
            "holds": max(ends.rates) <= with_error(ALPHA),
        }
    )
    return table


def with_error(limit: float) -> float:
    """Return the limit and two standard errors of a rate that is measured in so many tests."""
    return float(limit + 2 * np.sqrt(limit * (1 - limit) / CASE_TESTS))


def rates(promoted: float, rejected: float, mean: float) -> str:
    return f"{promoted:.3f} {rejected:.3f} {mean:.0f}"


def case_limits(case: Case) -> str:
    limits = []
    if case.most_promoted < 1:
        limits.append(f"promoted <= {case.most_promoted:g}")
    if case.least_promoted:
        limits.append(f"promoted >= {case.least_promoted:g}")
    if case.most_rejected < 1:
        limits.append(f"rejected <= {case.most_rejected:g}")
    if np.isfinite(case.most_mean):
        limits.append(f"mean <= {case.most_mean:g}")
    return ", ".join(limits)


def main() -> None:
    cases, gates, gate_seconds = case_rows(), gate_rows(), seconds_of_a_gate()
    print_table(cases)
    print(
        "Columns: promoted, rejected, mean labelled users; `without` is the earlier rule. A rate"
        f" of {CASE_TESTS} tests may exceed its limit by two standard errors."
    )
    print_table(gates)
    print(f"A gate at 3000 rows, the slowest metric: {gate_seconds:.2f} s of the processor's")
    rows = [*independent_rows(), *answered_rows()]
    for scenario, played in ((CORRELATED, correlated), (LATE, late_labels)):
        ours, naive = played(np.random.default_rng(200))
        rows.append(row(scenario, ours, {"z-test": naive}))
    caught, false = sample_ratio(np.random.default_rng(300))
    clock, processor = seconds_for_a_million()
    print_table(rows)
    print("The last three columns: promoted, rejected, mean requests.")
    print(
        f"Sample ratio two points off at 50,000 users: caught {caught:.3f}; as split: {false:.4f}"
    )
    print(f"A million labelled requests: {clock:.2f} s, {processor:.2f} s of the processor's")
    holds = (
        all(one["holds"] for one in [*rows, *cases, *gates]) and caught >= 0.99 and false <= 0.001
    )
    print(
        json.dumps(
            {"rows": rows, "cases": cases, "gate": gates, "gate_seconds": round(gate_seconds, 2)}
            | {"sample_ratio_caught": caught, "sample_ratio_false": false}
            | {"seconds_a_million": round(clock, 2), "cpu_seconds_a_million": round(processor, 2)}
            | {
                "seconds_limit": MOST_SECONDS,
                "holds": holds and processor <= MOST_SECONDS and gate_seconds <= MOST_GATE_SECONDS,
            }
        )
    )


if __name__ == "__main__":
    main()
