"""The check of a source of data, before anything is trained on it or compared with it."""

from collections.abc import Sequence

from ratchet.contract.checking import Result, check
from ratchet.contract.proposal import propose
from ratchet.contract.report import require_kept, warnings
from ratchet.contract.rules import Contract, contract_of
from ratchet.data.source import Rows, opened
from ratchet.progress import print_once
from ratchet.settings import DataSettings


def check_source(source: str, settings: DataSettings, contract: Contract) -> list[Result]:
    with opened(source, settings, numbers=_numbers(settings)) as rows:
        return check(rows, contract, source)


def propose_for(source: str, settings: DataSettings) -> str:
    with opened(source, settings, numbers=_numbers(settings)) as rows:
        return propose(rows)


def require_contract(settings: DataSettings) -> None:
    """Raise InputError if data.source breaks the contract; print the rules that only warn."""
    contract = contract_of(settings)
    if contract is not None:
        results = check_source(settings.source, settings, contract)
        for line in warnings(results):
            print_once(line)
        require_kept(results, settings.source)


def broken_rules(rows: Rows, settings: DataSettings, where: str) -> Sequence[Result]:
    """Return the broken rules on the columns that a part of the data has, such as the log."""
    contract = contract_of(settings)
    if contract is None:
        return []
    return [one for one in check(rows, contract, where, only_known=True) if not one.passed]


def _numbers(settings: DataSettings) -> list[str]:
    return [name for name, kind in settings.kinds.items() if kind == "numeric"]
