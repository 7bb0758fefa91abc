"""A contract proposed from data: ranges, shares of missing values, sets of values and keys."""

from math import ceil, floor, log10
from typing import Any

import yaml

from ratchet.columns import kind_of_sql_type
from ratchet.contract.checking import sql_of
from ratchet.data.source import Rows

MOST_VALUES = 20  # a column with more different values gets no list of them
MARGIN = 0.1  # of the range, on both sides
FEWEST_ROWS = 0.5  # of the rows of today
LEAST_MISSING = 0.01
HEADER = """\
# What the data have to keep before anything is trained on them. Proposed by `check` from {rows:,}
# rows: read every line, and change what only happens to be so. docs/data.md explains the keys.
"""


def propose(rows: Rows) -> str:
    """Return the text of a contract that the rows themselves keep."""
    total = rows.relation.aggregate("count(*)").fetchall()[0][0]
    columns = {name: _column(rows, name, total) for name in rows.names}
    content = {
        "columns": {name: rules for name, rules in columns.items() if rules},
        "rows": {"min": max(1, floor(total * FEWEST_ROWS))},
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return HEADER.format(rows=total) + text


def _column(rows: Rows, name: str, total: int) -> dict[str, Any]:
    column, kind = sql_of(rows, name), kind_of_sql_type(rows.types[rows.names.index(name)])
    expressions = [f"count({column})", f"count(DISTINCT {column})"]
    if kind in ("numeric", "date"):
        present = f"isfinite({column})" if kind == "numeric" and _is_float(rows, name) else "true"
        expressions += [f"{side}({column}) FILTER (WHERE {present})" for side in ("min", "max")]
    count, distinct, *limits = rows.relation.aggregate(", ".join(expressions)).fetchall()[0]
    rules: dict[str, Any] = {}
    is_key = distinct == count == total > MOST_VALUES and not _is_float(rows, name)
    if kind == "numeric" and count and not is_key:
        rules["min"], rules["max"] = _range(*map(float, limits))
    elif kind == "date" and count:
        rules["min"] = str(limits[0])
    elif kind == "categorical" and 0 < distinct <= min(MOST_VALUES, count / 2):
        rows_of = rows.relation.project(f"CAST({column} AS VARCHAR) AS v").filter("v IS NOT NULL")
        rules["values"] = sorted(value for (value,) in rows_of.distinct().fetchall())
    if is_key:
        rules["unique"] = True
    rules["missing"] = _missing((total - count) / total if total else 0.0)
    return rules


def _is_float(rows: Rows, name: str) -> bool:
    return rows.types[rows.names.index(name)] in ("DOUBLE", "FLOAT")


def _range(low: float, high: float) -> tuple[float, float]:
    """Widen the range by the margin, to two digits of its width; a limit keeps its sign."""
    step = 10.0 ** (floor(log10(high - low)) - 1) if high > low else 1.0
    margin = MARGIN * (high - low)
    lower, upper = floor((low - margin) / step) * step, ceil((high + margin) / step) * step
    lower = max(0.0, lower) if low >= 0 else lower
    upper = min(0.0, upper) if high <= 0 else upper
    # Without the last digits, which are errors of the arithmetic, but never inside the range.
    return min(low, float(f"{lower:.12g}")), max(high, float(f"{upper:.12g}"))


def _missing(share: float) -> float:
    """Return a limit with a margin: twice the share, and a hundredth if some values are missing."""
    return min(1.0, round(max(2 * share, LEAST_MISSING), 4)) if share else 0.0
