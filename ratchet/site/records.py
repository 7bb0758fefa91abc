"""The records that the page shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ratchet.promotion.recorded import RecordedDecision


@dataclass(frozen=True)
class Run:
    """A run of MLflow, with the address of a page about it if there is one."""

    run_id: str
    time: datetime
    address: str | None
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """A version of the registry. Its run is None if it was deleted."""

    number: str
    config: str
    status: str  # passed, rejected or waiting: the gate's verdict or a later decision
    reason: str
    decision: str  # promoted, rejected, rolled back, or empty
    run: Run | None


@dataclass(frozen=True)
class Move:
    """A line of the ledger: the aliases that moved together, each with its old and new version."""

    time: datetime
    aliases: Mapping[str, tuple[str | None, str | None]]
    reason: str
    by: str
    commit: str
    evidence: Run | None


@dataclass(frozen=True)
class DriftCheck:
    run: Run
    verdict: str
    psi: Mapping[str, float]  # by feature


@dataclass(frozen=True)
class StepReport:
    """The newest report of a step: an HTML page, or Markdown."""

    step: str
    run: Run
    file_name: str
    content: str


@dataclass(frozen=True)
class History:
    """Everything that the page shows. Lists begin with the oldest entry."""

    model: str
    aliases: Mapping[str, str]
    candidates: list[Candidate]
    moves: list[Move]
    checks: list[DriftCheck]
    decision: tuple[Run, RecordedDecision] | None  # of the running A/B test
    reports: list[StepReport]
