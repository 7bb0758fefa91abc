"""What an A/B test of two versions left, reduced to what a decision needs."""

from dataclasses import dataclass, field
from typing import Literal

First = Literal["promote", "reject", "neither"]


@dataclass(frozen=True)
class Arm:
    version: str
    users: int  # assigned to it
    requests: int
    labelled: int  # users (or requests) whose outcome counts
    outcome: float  # the sum of what they were worth, each in [0, 1]
    wrong: int  # of them, less than fully right
    matured: int  # users whose first request is old enough to have a label
    matured_labelled: int  # of these requests, those that have it
    failed: int  # requests that ended in an error, or that prod had to answer
    slow: int  # requests beyond the guardrail
    latency_p99_ms: float | None
    interval: tuple[float, float]  # of the mean outcome
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)  # truth: answer: count

    @property
    def mean(self) -> float | None:
        return self.outcome / self.labelled if self.labelled else None


@dataclass(frozen=True)
class Evidence:
    """The largest log e-values so far, and which side reached its threshold first."""

    method: str
    log_e_promote: float
    log_e_reject: float
    threshold: float
    users: int
    labelled: int
    difference: float | None  # staging less prod
    interval: tuple[float, float]
    null: float  # what promotion has to refute: a difference of at most this
    first: First = "neither"
    first_at: int | None = None  # after so many labelled units
    more_needed: int | None = (
        None  # labelled units, if all goes on as so far; None: no end in sight
    )
    curve: list[tuple[int, float, float]] = field(default_factory=list)  # labelled, log e-values


@dataclass(frozen=True)
class Slice:
    name: str
    labelled: tuple[int, int]  # of A, of B
    mean: tuple[float | None, float | None]
    log_e_worse: float


@dataclass(frozen=True)
class Trial:
    """What two versions' test left in the log: all that the decision goes by."""

    a: Arm
    b: Arm
    evidence: Evidence
    window: tuple[float, float]  # the first request and now, in seconds since 1970
    splits: dict[float, tuple[int, int]]  # split: users, of them assigned to B
    sample_ratio_log_e: float
    labelled_ratio_log_e: float
    coverage_log_e: float
    switched_users: int  # seen in both arms under one split
    late_labels: float  # the largest share of an arm's labels that came after their maturity
    error_log_e: float
    slices: list[Slice] = field(default_factory=list)

    @property
    def days(self) -> float:
        return (self.window[1] - self.window[0]) / 86_400
