"""The rules of the contract that current data break. They are reported, and are no drift."""

from ratchet.contract.rules import contract_of
from ratchet.contract.source import broken_rules
from ratchet.data.source import Rows, connect, opened
from ratchet.predictions.engine import log_url
from ratchet.predictions.feature_table import feature_table
from ratchet.settings import Settings


def broken_rules_of_file(current: str, settings: Settings) -> list[str]:
    if contract_of(settings.data) is None:
        return []
    with opened(current, settings.data, "current") as rows:
        return _sentences([one.sentence for one in broken_rules(rows, settings.data, current)])


def broken_rules_of_log(url: str | None, settings: Settings, days: float) -> list[str]:
    if contract_of(settings.data) is None:
        return []
    with feature_table(url or log_url(), settings.model, days, None) as stream:
        table = stream.relation.to_arrow_table()  # the examples need a second look
    rows = Rows(connect().from_arrow(table), stream.names)
    return _sentences([one.sentence for one in broken_rules(rows, settings.data, "the log")])


def _sentences(broken: list[str]) -> list[str]:
    return [f"breaks a rule of the contract, {one}" for one in broken]
