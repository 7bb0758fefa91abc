"""The result of an A/B test of two versions, reduced to what a decision needs."""

from dataclasses import dataclass, field
from typing import Literal

First = Literal["promote", "reject", "neither"]


@dataclass(frozen=True)
class Arm:
    version: str
    users: int  # assigned to this arm
    requests: int
    labelled: int  # units (users, or requests) that count
    outcome: float  # sum of their outcomes, each in [0, 1]
    wrong: int  # units with an outcome below 1
    matured: int  # units that are old enough to have a label
    matured_labelled: int
    failed: int  # requests that ended in an error or that prod had to answer
    slow: int  # requests above the latency guardrail
    latency_p99_ms: float | None
    interval: tuple[float, float]  # of the mean outcome
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)  # truth: answer: count

    @property
    def mean(self) -> float | None:
        return self.outcome / self.labelled if self.labelled else None


@dataclass(frozen=True)
class Evidence:
    """The largest log e-values so far, and the side that reached its threshold first."""

    method: str
    log_e_promote: float
    log_e_reject: float
    log_e_missing_wrong: float | None  # for promotion, if a missing label counts as a wrong answer
    threshold: float
    users: int
    labelled: int
    difference: float | None  # staging minus prod
    interval: tuple[float, float]
    null: float  # promotion has to refute a difference of at most this
    first: First = "neither"
    first_at: int | None = None  # labelled units when the decision was reached
    at_deadline: bool = False  # the promotion reached the threshold of the deadline only
    deadline_threshold: float | None = None  # of a promotion, once the deadline has passed
    more_needed: int | None = None  # forecast of further labelled units; None: no end in sight
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # labelled, log e-values


@dataclass(frozen=True)
class Slice:
    name: str
    labelled: tuple[int, int]  # in arm A, in arm B
    mean: tuple[float | None, float | None]
    log_e_worse: float
    p_worse: float = 1.0  # one-sided p-value of a single look


@dataclass(frozen=True)
class Trial:
    """Everything that the decision uses."""

    a: Arm
    b: Arm
    evidence: Evidence
    window: tuple[float, float]  # the first request and now, in seconds since 1970
    splits: dict[float, tuple[int, int]]  # split: users, and how many of them are in arm B
    sample_ratio_log_e: float
    labelled_ratio_log_e: float
    coverage_log_e: float
    switched_users: int  # seen in both arms under one split
    late_labels: float  # the larger of the arms' shares of labels that came too late
    error_log_e: float
    label_delay_hours: float | None = None  # within which 99 % of the labels came
    deleted_days: float = 0.0  # at the start of the test, which the log no longer holds
    slices: list[Slice] = field(default_factory=list)
    newer_half: Slice | None = None  # of the units: shows if an early lead is over

    @property
    def days(self) -> float:
        return (self.window[1] - self.window[0]) / 86_400
