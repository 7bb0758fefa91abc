"""The error rates and the speed of the decision, next to a z-test and gbstats.

python -m benchmarks.decision_quality [TESTS OF A CASE]

Each scenario has 2000 seeded tests, and so has each case, on a worker per core. A test has 5000
requests, and the decision is made after every 100 of them. A test without a decision counts as 5000
requests. The functions that decide are those that steps.promote calls. gbstats is in an environment
of its own.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks.decision_case_rows import case_rows, with_error
from benchmarks.decision_gate import MOST_SECONDS as MOST_GATE_SECONDS
from benchmarks.decision_gate import gate_rows, seconds_of_a_gate
from benchmarks.decision_rules import (
    LOOK,
    Ends,
    Traffic,
    by_betting,
    by_gbstats,
    by_mcnemar,
    counted,
    counts_at_looks,
    joined,
    log_of,
    with_answers,
    z_test,
)
from benchmarks.decision_scenarios import (
    ANSWERS,
    ANSWERS_20,
    ANSWERS_EQUAL,
    BATCH,
    CENTRED,
    CONFIDENT,
    CORRELATED,
    DEADLINE,
    DEADLINE_EQUAL,
    LATE,
    PAIRED,
    PAIRED_EQUAL,
    SCENARIOS,
    TESTS,
    Scenario,
    both_answered,
    confident,
    correlated,
    late_labels,
    traffic,
)
from ratchet.report import print_table
from ratchet.statistics.arrays import Bools
from ratchet.statistics.betting import Bets
from ratchet.statistics.sample_ratio import sample_ratio_log_e

EQUAL_THIRDS: Bets = ((2.0, 1 / 3), (1.0, 1 / 3), (0.4, 1 / 3))  # the mixture is compared with it
MOST_SECONDS = 3.0


def confident_rows() -> list[dict[str, object]]:
    """Use strata of prod's confidence; the peer is the same e-process without them."""
    rows = []
    for seed, (scenario, r_squared) in enumerate(CONFIDENT):
        parts = [
            (by_betting(tests, stratum=stratum), by_betting(tests))
            for tests, stratum in confident(scenario, r_squared, np.random.default_rng(500 + seed))
        ]
        ours, plain = (joined(list(one)) for one in zip(*parts, strict=True))
        rows.append(row(scenario, ours, {"plain": plain}))
    return rows


def deadline_rows() -> list[dict[str, object]]:
    """Draw the limit of a promotion at the last request; the peer keeps the limit 1/alpha."""
    rows = []
    for seed, scenario in enumerate((DEADLINE, DEADLINE_EQUAL)):
        rng, draw = np.random.default_rng(600 + seed), np.random.default_rng(700 + seed)
        parts = [
            (by_betting(tests, draws=1 - draw.random(BATCH)), by_betting(tests))
            for tests in traffic(scenario, rng)
        ]
        ours, plain = (joined(list(one)) for one in zip(*parts, strict=True))
        rows.append(row(scenario, ours, {"plain": plain}))
    return rows


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
        scenario.least_promoted <= promoted <= with_error(scenario.most_promoted, TESTS)
        and scenario.least_rejected <= rejected <= with_error(scenario.most_rejected, TESTS)
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
    for name in ("equal thirds", "plain", "z-test", "gbstats"):
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


def main(tests: int = TESTS) -> None:
    gate_seconds = seconds_of_a_gate()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        cases, gates = case_rows(tests, pool), gate_rows(pool)
    print_table(cases)
    print(
        "Columns: promoted, rejected, mean labelled users; `without` is the earlier rule. A rate"
        f" of {tests} tests may exceed its limit by two standard errors."
    )
    print_table(gates)
    print(f"A gate at 3000 rows, the slowest metric: {gate_seconds:.2f} s of the processor's")
    rows = [*independent_rows(), *answered_rows(), *confident_rows(), *deadline_rows()]
    for scenario, played in ((CORRELATED, correlated), (LATE, late_labels)):
        ours, naive = played(np.random.default_rng(200))
        rows.append(row(scenario, ours, {"z-test": naive}))
    caught, false = sample_ratio(np.random.default_rng(300))
    clock, processor = seconds_for_a_million()
    print_table(rows)
    print(
        "The last four columns: promoted, rejected, mean requests. A rate of 2000 tests may exceed"
        " its limit by two standard errors."
    )
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
    main(*map(int, sys.argv[1:]))
