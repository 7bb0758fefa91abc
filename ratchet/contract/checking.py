"""The check of a table against a contract: one query of DuckDB for all rules, and their examples.

pandera and pointblank are about as fast or faster, but they add packages and hold the whole table
in memory. This check streams whatever the sources can read. benchmarks.contract measures them.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.columns import kind_of_sql_type
from ratchet.contract.rules import ColumnRules, Contract, RowRules, Severity, Value
from ratchet.data.formats import literal, quoted
from ratchet.data.source import Rows
from ratchet.errors import InputError, nearest
from ratchet.settings import seconds

MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Result:
    """One rule, and what the data have: the rows that break it, or one value of the whole table."""

    rule: str
    severity: Severity
    passed: bool
    found: str
    rows: int = 0  # rows that break it
    examples: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        examples = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{self.rule}: {self.found}{examples}"


@dataclass(frozen=True)
class _Rule:
    """A rule on rows: `broken` is SQL that is true for a row that breaks it."""

    name: str
    column: str  # SQL of the column
    severity: Severity
    broken: str
    most: float = 0.0  # the share of rows that may break it

    @property
    def share(self) -> bool:
        """Return whether the rule is about a share of the rows, not about single ones."""
        return self.most > 0


def check(rows: Rows, contract: Contract, where: str, only_known: bool = False) -> list[Result]:
    """Return a result for each rule.

    Raise InputError if a column is missing. `only_known` leaves out such columns and the rules on
    the number and age of rows, for data that are a part of the whole, such as a prediction log.
    """
    rules = list(_rules(rows, contract, where, only_known))
    table = {} if only_known else _table_expressions(rows, contract.rows, where)
    counts = [f"count(*) FILTER (WHERE {rule.broken})" for rule in rules]
    unique = _unique_names(rows, contract)
    repeats = [
        f"count({sql_of(rows, name)}) - count(DISTINCT {sql_of(rows, name)})" for name in unique
    ]
    query = ["count(*)", *counts, *repeats, *table.values()]
    total, *values = rows.relation.aggregate(", ".join(query)).fetchall()[0]
    results = [
        _result(rows, rule, count, total) for rule, count in zip(rules, values, strict=False)
    ]
    for name, count in zip(unique, values[len(rules) :], strict=False):
        results.append(_unique_result(rows, name, contract.columns[name], count))
    if not only_known:
        results += _table_results(contract.rows, total, values[-1] if table else None)
    return results


def rows_that_break(rows: Rows, contract: Contract) -> list[int]:
    """Return the positions of rows that break a rule on single values which does not only warn."""
    rules = _rules(rows, contract, "", only_known=True)
    broken = [f"({rule.broken})" for rule in rules if rule.severity == "error" and not rule.share]
    if not broken:
        return []
    numbered = rows.relation.project(
        f'row_number() OVER () - 1 AS "row", {" OR ".join(broken)} AS "broken"'
    )
    return [row for row, _ in numbered.filter('"broken"').fetchall()]


def _rules(rows: Rows, contract: Contract, where: str, only_known: bool) -> Iterator[_Rule]:
    for name, rules in contract.columns.items():
        if name in rows.names:
            yield from _column_rules(rows, name, rules)
        elif not only_known:
            raise InputError(
                f"{where} has no column '{name}' (data.contract); {nearest(name, rows.names)}"
            )


def _column_rules(rows: Rows, name: str, rules: ColumnRules) -> Iterator[_Rule]:
    column, kind = sql_of(rows, name), rows.types[rows.names.index(name)]
    is_float = kind in ("DOUBLE", "FLOAT")
    # A comparison with NULL is no break of the rule. NaN counts as missing, but DuckDB compares it.
    present = f"NOT isnan({column}) AND " if is_float else ""

    def rule(text: str, broken: str, most: float = 0.0) -> _Rule:
        return _Rule(f"{name}: {text}", column, rules.severity, broken, most)

    for text, limit, sign in (("min", rules.min, "<"), ("max", rules.max, ">")):
        if limit is not None:
            beyond = _beyond(column, kind, limit, sign)
            yield rule(f"{text} {_display(limit)}", present + beyond)
    if rules.values is not None:
        unknown = _not_one_of(column, kind, rules.values)
        yield rule(f"one of {len(rules.values)} values", present + unknown)
    if rules.missing is not None:
        missing = f"{column} IS NULL" + (f" OR isnan({column})" if is_float else "")
        yield rule(f"missing at most {rules.missing:.2%}", missing, rules.missing)


def _beyond(column: str, kind: str, limit: float | str, sign: str) -> str:
    if not isinstance(limit, str) and kind_of_sql_type(kind) == "numeric":
        return f"{column} {sign} {float(limit)!r}"
    bound = f"TIMESTAMP {literal(limit)}" if isinstance(limit, str) else repr(float(limit))
    type_ = "TIMESTAMP" if isinstance(limit, str) else "DOUBLE"
    value = f"TRY_CAST({column} AS {type_})"
    return f"{column} IS NOT NULL AND ({value} IS NULL OR {value} {sign} {bound})"


def _not_one_of(column: str, kind: str, values: Sequence[Value]) -> str:
    are_numbers = all(isinstance(value, int | float) and value is not True for value in values)
    if are_numbers and kind_of_sql_type(kind) == "numeric":
        return f"{column} NOT IN ({', '.join(repr(float(v)) for v in values)})"
    texts = [literal(str(v).lower() if isinstance(v, bool) else str(v)) for v in values]
    return f"CAST({column} AS VARCHAR) NOT IN ({', '.join(texts)})"


def _result(rows: Rows, rule: _Rule, count: int, total: int) -> Result:
    passed = count <= rule.most * total
    found = f"{count:,} of {total:,} rows" + (
        f" ({count / total:.2%})" if rule.most and total else ""
    )
    examples = () if passed else _examples(rows, rule.column, rule.broken)
    return Result(rule.name, rule.severity, passed, found, count, examples)


def _unique_names(rows: Rows, contract: Contract) -> list[str]:
    return [name for name, one in contract.columns.items() if one.unique and name in rows.names]


def _unique_result(rows: Rows, name: str, rules: ColumnRules, count: int) -> Result:
    column = sql_of(rows, name)
    repeated = f"{column} IS NOT NULL AND count(*) OVER (PARTITION BY {column}) > 1"
    examples = _examples(rows, column, repeated) if count else ()
    found = f"{count:,} rows repeat a value"
    return Result(f"{name}: unique", rules.severity, not count, found, count, examples)


def _examples(rows: Rows, column: str, broken: str) -> tuple[str, ...]:
    """Return the number and value of the first rows that break a rule; the header has no number."""
    numbered = rows.relation.project(
        f'row_number() OVER () AS "row", CAST({column} AS VARCHAR) AS "value", {broken} AS "broken"'
    )
    first = numbered.filter('"broken"').order('"row"').limit(MOST_EXAMPLES).fetchall()
    return tuple(f"row {row} ({_display(value)})" for row, value, _ in first)


def _table_expressions(rows: Rows, rules: RowRules, where: str) -> dict[str, str]:
    if rules.newest is None:
        return {}
    name = rules.newest.column
    if name not in rows.names:
        near = nearest(name, rows.names)
        raise InputError(f"{where} has no column '{name}' (rows.newest.column); {near}")
    return {name: f"epoch(max(TRY_CAST({sql_of(rows, name)} AS TIMESTAMP)))"}


def _table_results(rules: RowRules, total: int, newest: float | None) -> Iterator[Result]:
    limits = (("at least", rules.min, total), ("at most", rules.max, total))
    for text, limit, value in limits:
        if limit is not None:
            passed = value >= limit if text == "at least" else value <= limit
            yield Result(f"rows: {text} {limit:,}", rules.severity, passed, f"{total:,} rows")
    if rules.newest is not None:
        if newest is None:
            raise InputError(f"column '{rules.newest.column}' (rows.newest.column) holds no dates")
        age = time.time() - newest
        yield Result(
            f"rows: newest '{rules.newest.column}' at most {rules.newest.at_most} old",
            rules.severity,
            age <= seconds(rules.newest.at_most),
            f"{max(0.0, age) / 86_400:.1f} days old",
        )


def sql_of(rows: Rows, name: str) -> str:
    """Return the column of the relation, whose own name may differ from the source's."""
    return quoted(rows.relation.columns[rows.names.index(name)])


def _display(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
