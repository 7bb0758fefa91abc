"""A decision that was recorded earlier, read back from the report of its run."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from ratchet.promotion.trial import Arm, Evidence
from ratchet.report import Check


@dataclass(frozen=True)
class RecordedDecision:
    """The part of promote.json that other pages show; the other keys are ignored."""

    decision: str
    reason: str
    versions: dict[str, str]
    arms: dict[str, Arm]
    evidence: Evidence | None
    checks: list[Check]


def recorded_decision(text: str) -> RecordedDecision:
    """Read the content of promote.json. Raise ValueError if it is not such a file."""
    return TypeAdapter(RecordedDecision).validate_json(text)
