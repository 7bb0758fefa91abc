"""The table of benchmarks/decision_cases.py: each case beside the earlier rule."""

from concurrent.futures import Executor
from functools import partial

import numpy as np

from benchmarks.decision_cases import CASES, Case, kept_for_seven_days, outcome_of
from benchmarks.decision_rules import ALPHA, joined


def case_rows(tests: int, pool: Executor) -> list[dict[str, object]]:
    table = []
    for number, case in enumerate(CASES):
        promoted, rejected, mean = play(number, False, tests, pool)
        holds = (
            case.least_promoted <= promoted
            and promoted <= with_error(case.most_promoted, tests)
            and rejected <= with_error(case.most_rejected, tests)
            and mean <= case.most_mean
        )
        earlier = None if case.before is None else play(number, True, tests, pool)
        table.append(
            {
                "case": case.name,
                "tests": tests,
                "promoted": promoted,
                "rejected": rejected,
                "mean labelled": round(mean),
                "must be": case_limits(case),
                "holds": holds,
                "without": "" if earlier is None else rates(*earlier),
            }
        )
    return [*table, kept_row(tests // 4, pool)]


def play(
    number: int, by_earlier_rule: bool, tests: int, pool: Executor
) -> tuple[float, float, float]:
    """Return the shares of promoted and of rejected tests, and the mean labelled users."""
    played = partial(_played, number, by_earlier_rule)
    decisions, labelled = zip(*pool.map(played, range(tests), chunksize=10), strict=True)
    return (
        round(decisions.count("promote") / tests, 4),
        round(decisions.count("reject") / tests, 4),
        float(np.mean(labelled)),
    )


def _played(number: int, by_earlier_rule: bool, seed: int) -> tuple[str, int]:
    case = CASES[number]
    is_earlier = by_earlier_rule and case.before is not None
    return outcome_of(case, case.before if is_earlier else case.settings, seed)  # type: ignore[arg-type]


def kept_row(tests: int, pool: Executor) -> dict[str, object]:
    ends = joined(list(pool.map(kept_for_seven_days, range(tests), chunksize=5)))
    promoted, rejected = ends.rates
    return {
        "case": "equal, the log keeps 7 of 30 days",
        "tests": tests,
        "promoted": promoted,
        "rejected": rejected,
        "mean labelled": "",
        "must be": "each <= 0.05",
        "holds": max(ends.rates) <= with_error(ALPHA, tests),
    }


def with_error(limit: float, tests: int) -> float:
    """Return the limit and two standard errors of a rate that is measured in so many tests."""
    return float(limit + 2 * np.sqrt(limit * (1 - limit) / tests))


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
