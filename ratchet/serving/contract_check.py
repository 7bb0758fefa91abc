"""The contract's rules on single values, for the rows of a request.

Rules on a whole table (`missing`, `unique`, the number of rows) say nothing about one row.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from ratchet.columns import Column, parse_date
from ratchet.contract.rules import Contract, contract_of
from ratchet.errors import InputError
from ratchet.serving.features import RequestRows, bad_feature
from ratchet.settings import DataSettings

Use = Literal["off", "count", "refuse"]


class Rule(NamedTuple):
    column: str
    name: str  # min, max or values
    expected: str
    keeps: Callable[[Any], bool]
    refuses: bool


class ContractCheck:
    """The rules, and a function that counts the rows that break one."""

    def __init__(
        self, contract: Contract, use: Use, count: Callable[[str, str, int], None]
    ) -> None:
        self._contract, self._use, self._count = contract, use, count
        self._rules: dict[tuple[Column, ...], dict[int, list[Rule]]] = {}

    def check(self, columns: tuple[Column, ...], rows: RequestRows, is_list: bool) -> None:
        """Count the rows that break a rule; raise if they are to be refused."""
        if columns not in self._rules:
            self._rules[columns] = dict(self._of(columns))
        refused = None
        for position, rules in self._rules[columns].items():
            for rule in rules:
                broken = [
                    row
                    for row, values in enumerate(rows.values)
                    if values[position] is not None and not rule.keeps(values[position])
                ]
                if not broken:
                    continue
                self._count(rule.column, rule.name, len(broken))
                if rule.refuses and refused is None:
                    first = rows.values[broken[0]][position]
                    place = broken[0] if is_list else ""
                    refused = bad_feature(rule.column, first, rule.expected, place)
        if refused:
            raise refused

    def _of(self, columns: Sequence[Column]) -> Iterator[tuple[int, list[Rule]]]:
        for position, column in enumerate(columns):
            if column.name in self._contract.columns and (rules := list(self._on(column))):
                yield position, rules

    def _on(self, column: Column) -> Iterator[Rule]:
        given = self._contract.columns[column.name]
        refuses = self._use == "refuse" and given.severity == "error"
        limits = {"min": ("at least", operator.ge), "max": ("at most", operator.le)}
        for name, (words, compare) in limits.items():
            limit = getattr(given, name)
            if limit is not None and column.type == ("datetime" if _is_date(limit) else "double"):
                other = parse_date(limit) if _is_date(limit) else limit
                keeps = partial(_compares, compare, other)
                yield Rule(column.name, name, f"{words} {limit}", keeps, refuses)
        if given.values is not None and column.type != "datetime":
            known = ", ".join(map(str, given.values))
            values = frozenset(map(str, given.values) if column.type == "string" else given.values)
            yield Rule(column.name, "values", f"one of {known}", values.__contains__, refuses)


def _is_date(limit: float | str) -> bool:
    return isinstance(limit, str)


def _compares(compare: Callable[[Any, Any], bool], limit: Any, value: Any) -> bool:
    return compare(value, limit)


def contract_check(
    use: Use, data: DataSettings, count: Callable[[str, str, int], None]
) -> ContractCheck | None:
    """Return the check that the settings ask for."""
    if use == "off":
        return None
    contract = contract_of(data)
    if contract is None:
        raise InputError(
            f"ab.contract is {use}, but there is no {data.contract}; propose one: mlflow run . -e"
            " check -P write=true"
        )
    return ContractCheck(contract, use, count)
