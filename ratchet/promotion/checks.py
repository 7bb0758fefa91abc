"""What must hold before evidence counts, each check by name with its number."""

from math import exp, log

from ratchet.promotion.trial import Arm, Slice, Trial
from ratchet.report import Check
from ratchet.settings import PromotionSettings
from ratchet.statistics.holm import holm
from ratchet.statistics.intervals import mean_interval

FAULT_ALPHA = 0.001  # a fault stops a test of weeks, so it is called one only when it is sure
MOST_SWITCHED = 0.01  # of the users
FEWEST_SWITCHED = 10
MOST_LATE = 0.05  # of an arm's labels


def faults(trial: Trial) -> list[Check]:
    """What makes the comparison worthless, whatever it says."""
    limit = log(1 / FAULT_ALPHA)
    shares = "; ".join(
        f"{100 * b / users:.1f} % of {users:,} users in arm B, the split says {100 * split:.1f} %"
        for split, (users, b) in trial.splits.items()
    )
    coverage = (
        f"labels for the first request of {_covered(trial.a)} of arm A's users and"
        f" {_covered(trial.b)} of arm B's"
    )
    return [
        _e_value("sample ratio of users", trial.sample_ratio_log_e, limit, shares),
        _e_value(
            "sample ratio of labelled users", trial.labelled_ratio_log_e, limit,
            f"{trial.b.labelled:,} of {trial.a.labelled + trial.b.labelled:,} labelled in arm B",
        ),
        _e_value("label coverage", trial.coverage_log_e, limit, coverage),
        _maturity(trial),
        _stickiness(trial),
    ]  # fmt: skip


def _e_value(name: str, value: float, limit: float, note: str) -> Check:
    return Check(name, value < limit, value, limit, note)


def _covered(arm: Arm) -> str:
    return f"{100 * arm.matured_labelled / arm.matured:.1f} %" if arm.matured else "none"


def _maturity(trial: Trial) -> Check:
    note = f"{100 * trial.late_labels:.1f} % of an arm's labels came after their maturity"
    if trial.late_labels > MOST_LATE:
        note += "; raise promotion.maturity_hours until nearly all come before it"
    return Check(
        "label maturity", trial.late_labels <= MOST_LATE, trial.late_labels, MOST_LATE, note
    )


def _stickiness(trial: Trial) -> Check:
    limit = max(FEWEST_SWITCHED, MOST_SWITCHED * (trial.a.users + trial.b.users))
    note = f"{trial.switched_users:,} users were seen in both arms under one split"
    return Check(
        "stickiness", trial.switched_users <= limit, float(trial.switched_users), limit, note
    )


def enough_check(trial: Trial, settings: PromotionSettings, over: bool) -> Check:
    labelled = min(trial.a.labelled, trial.b.labelled)
    wrong = min(trial.a.wrong, trial.b.wrong)
    passed = labelled >= settings.min_labelled and wrong >= settings.min_errors
    note = (
        f"{trial.a.labelled:,} and {trial.b.labelled:,} labelled {settings.unit}s,"
        f" {trial.a.wrong:,} and {trial.b.wrong:,} of them wrong (prod and staging);"
        f" at least {settings.min_labelled} and {settings.min_errors} an arm are needed"
    )
    limit = f"{settings.min_labelled} labelled, {settings.min_errors} wrong"
    shown = note + ("; the deadline has passed" if over else "")
    return Check("enough", passed or over, f"{labelled} labelled, {wrong} wrong", limit, shown)


def guardrails(trial: Trial, settings: PromotionSettings) -> list[Check]:
    """What harms users now. At the decision's alpha: to be wrong here costs a test, not a model."""
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
    surely, _ = mean_interval(arm.slow, arm.requests, settings.alpha)
    shown = "unknown" if value is None else f"{value:.1f} ms"
    allowed = "no limit" if limit is None else f"{limit:g} ms"
    note = f"staging's latency p99 is {shown}, limit {allowed}"
    return Check("latency p99", limit is None or surely <= 0.01, value, limit, note)


def slice_check(trial: Trial, settings: PromotionSettings) -> Check:
    worse = worse_slices(trial.slices, settings.alpha)
    note = f"worse where {', '.join(worse)}" if worse else f"{len(trial.slices)} looked at"
    return Check("slices", not worse, ", ".join(worse) or None, None, note)


def worse_slices(slices: list[Slice], alpha: float) -> list[str]:
    """Return the slices in which staging is worse, by Holm: 1 / e-value is a valid p-value.

    >>> worse_slices([Slice("a", (9, 9), (1, 1), 5.0), Slice("b", (9, 9), (1, 1), 3.5)], 0.05)
    ['a', 'b']
    >>> worse_slices([Slice("a", (9, 9), (1, 1), 3.5), Slice("b", (9, 9), (1, 1), 0.0)], 0.05)
    []
    """
    rejected = holm([exp(-max(one.log_e_worse, 0.0)) for one in slices], alpha)
    return [one.name for one, is_worse in zip(slices, rejected, strict=True) if is_worse]
