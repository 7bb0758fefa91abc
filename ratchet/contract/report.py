"""The report of a check: one row for each rule."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ratchet.contract.checking import Result
from ratchet.errors import InputError
from ratchet.report import Report, html_page, markdown_table

TEMPLATE = Path(__file__).with_name("page.html")
COLUMNS = ("rule", "result", "rows", "found", "examples")
BROKEN = {"error": "broken", "warn": "warning"}


def check_report(results: Sequence[Result], where: str) -> Report:
    table, text = rows(results), summary(results, where)
    verdict = "broken" if refusals(results) else "kept"
    return Report(
        "check",
        {"data": where, "verdict": verdict, "rules": [asdict(one) for one in results]},
        f"## Check\n\n{text}\n\n{markdown_table(table)}\n",
        {"contract": verdict, "broken": str(sum(not one.passed for one in results))},
        html_page(
            TEMPLATE,
            title=f"Contract of {where}",
            verdict=verdict,
            reason=text,
            columns=COLUMNS,
            rows=table,
        ),
    )


def rows(results: Sequence[Result]) -> list[dict[str, str]]:
    return [
        {
            "rule": one.rule,
            "result": "kept"
            if one.passed
            else {"error": "broken", "warn": "warning"}[one.severity],
            "rows": f"{one.rows:,}" if one.rows else "",
            "found": one.found,
            "examples": "; ".join(one.examples),
        }
        for one in results
    ]


def refusals(results: Sequence[Result]) -> list[Result]:
    return [one for one in results if not one.passed and one.severity == "error"]


def warnings(results: Sequence[Result]) -> list[str]:
    return [
        f"Warning: {one.sentence}" for one in results if not one.passed and one.severity == "warn"
    ]


def summary(results: Sequence[Result], where: str) -> str:
    broken = [one for one in results if not one.passed]
    if not broken:
        return f"{where} keeps all {len(results)} rules of the contract."
    warned = len(broken) - len(refusals(results))
    return f"{where} breaks {len(broken)} of {len(results)} rules of the contract" + (
        f"; {warned} of them only warn." if warned else "."
    )


def require_kept(results: Sequence[Result], where: str) -> None:
    """Raise InputError if a rule is broken that does not only warn."""
    refused = refusals(results)
    if refused:
        more = f", and {len(refused) - 1} more rules" if len(refused) > 1 else ""
        raise InputError(
            f"{where} breaks the contract: {refused[0].sentence}{more}. Mend the data, or the rule"
            " (its key 'severity' may say warn); all rules: mlflow run . -e check"
        )
