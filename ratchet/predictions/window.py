"""A window: the choice of requests that a reader of the log wants."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from ratchet.predictions.record import first_request_id
from ratchet.predictions.tables import predictions


@dataclass(frozen=True)
class Window:
    """A choice of requests. None does not restrict. `until` itself is outside the window."""

    prod_version: str | None = None
    staging_version: str | None = None
    model_version: str | None = None  # the version that answered
    model: str | None = None
    since: float | None = None
    until: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return SQL conditions. Times become ids, which the primary key finds."""
        names = ("prod_version", "staging_version", "model_version", "model")
        conditions: list[ColumnElement[bool]] = [
            predictions.c[name] == value
            for name in names
            if (value := getattr(self, name)) is not None
        ]
        if self.since is not None:
            conditions.append(predictions.c.request_id >= first_request_id(self.since))
        if self.until is not None:
            conditions.append(predictions.c.request_id < first_request_id(self.until))
        return conditions


@dataclass(frozen=True)
class Assumed:
    """Values for an export that lacks the columns `split`, `prod_version`, `staging_version`."""

    split: float
    since: float  # when the test of the two versions began
