"""The checks before a decision, each with a name, a number and a limit."""

from math import exp, log

from ratchet.promotion.trial import Arm, Slice, Trial
from ratchet.report import Check
from ratchet.settings import PromotionSettings
from ratchet.statistics.holm import holm
from ratchet.statistics.intervals import mean_interval

FAULT_ALPHA = 0.001  # a fault stops a test of weeks, so only a certain one counts
MOST_SWITCHED = 0.01  # share of the users
FEWEST_SWITCHED = 10
MOST_LATE = 0.05  # share of an arm's labels
DOUBTFUL_SLICE = 0.2  # one-sided p-value; a false alarm only delays a promotion


def faults(trial: Trial) -> list[Check]:
    """Return the checks whose failure makes the comparison worthless, whatever it says."""
    limit = log(1 / FAULT_ALPHA)
    shares = "; ".join(
        f"{100 * b / users:.1f} % of {users:,} users in arm B, the split is {100 * split:.1f} %"
        for split, (users, b) in trial.splits.items()
    )
    labelled = trial.a.labelled + trial.b.labelled
    coverage = f"labels for {_covered(trial.a)} in arm A and for {_covered(trial.b)} in arm B"
    labels = f"{trial.b.labelled:,} of {labelled:,} labelled in arm B"
    return [
        _e_value("sample ratio of users", trial.sample_ratio_log_e, limit, shares),
        _e_value("sample ratio of labelled users", trial.labelled_ratio_log_e, limit, labels),
        _e_value("label coverage", trial.coverage_log_e, limit, coverage),
        _maturity(trial),
        _stickiness(trial),
        _retention(trial),
    ]


def _e_value(name: str, value: float, limit: float, note: str) -> Check:
    return Check(name, value < limit, value, limit, note)


def _covered(arm: Arm) -> str:
    return f"{100 * arm.matured_labelled / arm.matured:.1f} %" if arm.matured else "none"


def _maturity(trial: Trial) -> Check:
    note = f"{100 * trial.late_labels:.1f} % of an arm's labels came after their maturity"
    if trial.late_labels > MOST_LATE and trial.label_delay_hours is not None:
        hours = round_up(trial.label_delay_hours)
        note += (
            f"; 99 % of this log's labels came within {hours:g} hours:"
            f" set promotion.maturity_hours to {hours:g}"
        )
    return Check(
        "label maturity", trial.late_labels <= MOST_LATE, trial.late_labels, MOST_LATE, note
    )


def round_up(hours: float) -> float:
    """Return the next larger value with two digits.

    >>> round_up(0.02501), round_up(1.0), round_up(47.3)
    (0.026, 1.0, 48.0)
    """
    from math import ceil, floor, log10

    if hours <= 0:
        return 0.0
    unit = 10.0 ** (floor(log10(hours)) - 1)
    return round(ceil(hours / unit - 1e-9) * unit, 10)


def _stickiness(trial: Trial) -> Check:
    limit = max(FEWEST_SWITCHED, MOST_SWITCHED * (trial.a.users + trial.b.users))
    note = f"{trial.switched_users:,} users were seen in both arms under one split"
    switched = float(trial.switched_users)
    return Check("stickiness", switched <= limit, switched, limit, note)


def _retention(trial: Trial) -> Check:
    lost = trial.deleted_days
    note = "the log holds the whole test"
    if lost:
        note = (
            f"ab.retention_days deleted the first {lost:.1f} days of the test; set it above"
            " promotion.deadline_days, or to null"
        )
    return Check("log retention", not lost, lost, 0.0, note)


def enough_check(trial: Trial, settings: PromotionSettings, is_over: bool) -> Check:
    labelled = min(trial.a.labelled, trial.b.labelled)
    wrong = min(trial.a.wrong, trial.b.wrong)
    passed = labelled >= settings.min_labelled and wrong >= settings.min_errors
    note = (
        f"{trial.a.labelled:,} and {trial.b.labelled:,} labelled {settings.unit}s,"
        f" {trial.a.wrong:,} and {trial.b.wrong:,} of them wrong (prod and staging);"
        f" at least {settings.min_labelled} and {settings.min_errors} per arm are needed"
    )
    if is_over:
        note += "; the deadline has passed"
    value = f"{labelled} labelled, {wrong} wrong"
    limit = f"{settings.min_labelled} labelled, {settings.min_errors} wrong"
    return Check("enough", passed or is_over, value, limit, note)


def guardrails(trial: Trial, settings: PromotionSettings) -> list[Check]:
    """Return the checks of harm to users.

    They use the decision's alpha, because a false alarm costs one A/B test only.
    """
    limit = log(1 / settings.alpha)
    failed = (
        f"{_failed(trial.b)} of staging's requests failed, {_failed(trial.a)} of prod's;"
        f" {100 * settings.guardrails.error_rate:g} % more would be allowed"
    )
    return [
        Check("error rate", trial.error_log_e < limit, trial.error_log_e, limit, failed),
        _latency(trial.b, settings),
    ]


def _failed(arm: Arm) -> str:
    return f"{100 * arm.failed / arm.requests:.2f} %" if arm.requests else "none"


def _latency(arm: Arm, settings: PromotionSettings) -> Check:
    limit, value = settings.guardrails.latency_p99_ms, arm.latency_p99_ms
    lowest_share, _ = mean_interval(arm.slow, arm.requests, settings.alpha)
    measured = "unknown" if value is None else f"{value:.1f} ms"
    allowed = "no limit" if limit is None else f"{limit:g} ms"
    note = f"staging's latency p99 is {measured}, limit {allowed}"
    return Check("latency p99", limit is None or lowest_share <= 0.01, value, limit, note)


def slice_check(trial: Trial, settings: PromotionSettings, is_over: bool) -> Check:
    """A promotion waits while a slice is worse, is in doubt, or has too few labels.

    The newer half of the test counts as a slice in doubt, so that an early lead which is over (the
    novelty of a new version) promotes nothing.
    """
    worse = worse_slices(trial.slices, settings.alpha)
    if worse:
        names = ", ".join(worse)
        return Check("slices", False, names, None, f"staging is worse in {names}")
    few = [one for one in trial.slices if min(one.labelled) < settings.min_labelled]
    if few and not is_over:
        note = (
            f"{few[0].name} has {min(few[0].labelled)} labelled {settings.unit}s in an arm;"
            f" at least {settings.min_labelled} are needed in each of {len(trial.slices)} slices"
        )
        return Check("slices", False, few[0].name, None, note)
    doubtful = [one.name for one in trial.slices if one.p_worse < DOUBTFUL_SLICE]
    if trial.newer_half and trial.newer_half.p_worse < DOUBTFUL_SLICE:
        doubtful.append(trial.newer_half.name)
    if doubtful:
        note = f"staging may be worse in {', '.join(doubtful)}"
        return Check("slices", False, ", ".join(doubtful), None, note)
    return Check("slices", True, None, None, f"{len(trial.slices)} compared, none is worse")


def worse_slices(slices: list[Slice], alpha: float) -> list[str]:
    """Return the slices in which staging is worse, by Holm: 1 / e-value is a valid p-value.

    >>> worse_slices([Slice("a", (9, 9), (1, 1), 5.0), Slice("b", (9, 9), (1, 1), 3.5)], 0.05)
    ['a', 'b']
    >>> worse_slices([Slice("a", (9, 9), (1, 1), 3.5), Slice("b", (9, 9), (1, 1), 0.0)], 0.05)
    []
    """
    rejected = holm([exp(-max(one.log_e_worse, 0.0)) for one in slices], alpha)
    return [one.name for one, is_worse in zip(slices, rejected, strict=True) if is_worse]
