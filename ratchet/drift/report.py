"""The report of a check: JSON, tables, Markdown and metrics."""

import re
from dataclasses import asdict
from typing import Any

from ratchet.drift.comparison import ANSWERS, Drift, worst_first
from ratchet.drift.difference import Difference
from ratchet.drift.drift import Findings

MAX_ROWS = 20  # in a terminal and in a job summary; the page has all


def content(findings: Findings) -> dict[str, Any]:
    """Return the content of drift.json. Its keys are stable."""
    drift = findings.drift
    return {
        "verdict": findings.conclusion.verdict,
        "retrain": findings.conclusion.retrain,
        "finding": drift.finding,
        "reason": findings.conclusion.reason,
        "model": findings.model,
        "reference": findings.reference_name,
        "current": findings.current_name,
        "rows": asdict(drift.rows),
        "schema": asdict(findings.schema),
        "features": {name: asdict(one) for name, one in drift.features.items()},
        "prediction": _answer(drift, "prediction"),
        "target": _answer(drift, "target"),
        "rows_worth": round(drift.worth * drift.rows.current),
        "accuracy": drift.accuracy
        and asdict(drift.accuracy) | {"drifted": drift.answers["right"].drifted},
        "dependence": drift.dependence and asdict(drift.dependence),
        "joint_shift": drift.joint and asdict(drift.joint),
        "smallest_visible_shift": drift.smallest_shift,
        "limits": findings.settings.model_dump(mode="json", exclude={"engine", "address"}),
        "limits_in_words": findings.limits_in_words,
    }


def _answer(drift: Drift, part: str) -> dict[str, Any] | None:
    return asdict(drift.answers[part]) if part in drift.answers else None


def table(findings: Findings) -> list[dict[str, object]]:
    """Return a row per answer, then one per feature, the worst first."""
    answers = {f"({ANSWERS[part]})": one for part, one in findings.drift.answers.items()}
    differences = findings.drift.features
    first = {name: differences[name] for name in worst_first(differences)[:MAX_ROWS]}
    return [_row(name, one) for name, one in (answers | first).items()]


def _row(name: str, one: Difference) -> dict[str, object]:
    missing = f"{one.missing.reference:.1%} -> {one.missing.current:.1%}"
    return {
        "feature": name,
        "kind": one.kind,
        "verdict": one.verdict,
        "PSI": one.psi,
        "KS": one.ks,
        "p-value": None if one.p_value is None else p_value_text(one.p_value),
        "missing": missing if one.missing.reference or one.missing.current else None,
        "unseen": f"{one.unseen:.1%}" if one.unseen else None,
    }


def p_value_text(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value >= 1e-9 else "< 1e-9"


def omitted(findings: Findings) -> str | None:
    more = len(findings.drift.features) - MAX_ROWS
    return f"{more} more features in reports/drift/drift.html" if more > 0 else None


def markdown(findings: Findings, table_of_features: str) -> str:
    verdict = f"**{findings.conclusion.verdict}**: {findings.conclusion.reason}"
    sentences = "\n".join(f"- {one}" for one in findings.sentences)
    parts = ["## Drift", verdict, findings.sides, sentences, table_of_features, omitted(findings)]
    parts.append(findings.limits_in_words)
    return "\n\n".join(filter(None, parts)) + "\n"


def metrics(drift: Drift) -> dict[str, float]:
    """Return a metric per feature, so that the MLflow UI plots each over time."""
    named = dict(drift.features) | {
        f"({ANSWERS[part]})": one for part, one in drift.answers.items()
    }
    values = {"drifted_features": float(len(drift.drifted))}
    for name, one in named.items():
        key = metric_key(name)
        values |= {
            f"{statistic}/{key}": value
            for statistic, value in (("psi", one.psi), ("ks", one.ks))
            if value is not None
        }
    if drift.dependence:
        values["dependence_auc"] = drift.dependence.auc
    return values | ({"accuracy": drift.accuracy.current} if drift.accuracy else {})


def metric_key(name: str) -> str:
    """Return a feature's name with the characters that MLflow accepts in the name of a metric.

    >>> metric_key("income (EUR)")
    'income _EUR_'
    """
    return re.sub(r"[^\w. -]", "_", name)[:200].strip(". ") or "_"


def message(findings: Findings) -> str:
    """Return the text for the webhook if it is time to retrain, otherwise an empty text."""
    if not findings.conclusion.retrain:
        return ""
    return f"The data of model '{findings.model}' drifted: {findings.conclusion.reason}"
