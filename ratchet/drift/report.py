"""What a check found, for machines and for people: JSON, tables, sentences, metrics."""

import re
from dataclasses import asdict
from typing import Any

from ratchet.drift.comparison import ANSWERS, Difference, Drift, worst_first
from ratchet.drift.drift import Findings

MOST_ROWS = 20  # in a terminal and in a job summary; the page has all


def content(found: Findings) -> dict[str, Any]:
    """drift.json; its keys stay."""
    drift = found.drift
    return {
        "verdict": found.conclusion.verdict,
        "retrain": found.conclusion.retrain,
        "finding": drift.finding,
        "reason": found.conclusion.reason,
        "model": found.model,
        "reference": found.reference_name,
        "current": found.current_name,
        "rows": asdict(drift.rows),
        "schema": asdict(found.schema),
        "features": {name: asdict(one) for name, one in drift.features.items()},
        "prediction": _answer(drift, "prediction"),
        "target": _answer(drift, "target"),
        "rows_worth": round(drift.worth * drift.rows.current),
        "accuracy": drift.accuracy
        and asdict(drift.accuracy) | {"drifted": drift.answers["right"].drifted},
        "dependence": drift.dependence and asdict(drift.dependence),
        "limits": found.settings.model_dump(mode="json", exclude={"engine", "address"}),
        "limits_in_words": found.limits_in_words,
    }


def _answer(drift: Drift, part: str) -> dict[str, Any] | None:
    return asdict(drift.answers[part]) if part in drift.answers else None


def table(found: Findings) -> list[dict[str, object]]:
    """Worst first: the answers, then the features."""
    answers = {f"({ANSWERS[part]})": one for part, one in found.drift.answers.items()}
    features = {name: found.drift.features[name] for name in worst_first(found.drift.features)}
    shown = dict(list(features.items())[:MOST_ROWS])
    return [_row(name, one) for name, one in (answers | shown).items()]


def _row(name: str, one: Difference) -> dict[str, object]:
    missing = f"{one.missing.reference:.1%} -> {one.missing.current:.1%}"
    return {
        "feature": name, "kind": one.kind, "verdict": one.verdict,
        "PSI": one.psi, "KS": one.ks,
        "p-value": None if one.p_value is None else said(one.p_value),
        "missing": missing if one.missing.reference or one.missing.current else None,
        "unseen": f"{one.unseen:.1%}" if one.unseen else None,
    }  # fmt: skip


def said(p_value: float) -> str:
    return f"{p_value:.2g}" if p_value >= 1e-9 else "< 1e-9"


def hidden(found: Findings) -> str | None:
    more = len(found.drift.features) - MOST_ROWS
    return f"{more} more features in reports/drift/drift.html" if more > 0 else None


def markdown(found: Findings, table_of_features: str) -> str:
    verdict = f"**{found.conclusion.verdict}**: {found.conclusion.reason}"
    sentences = "\n".join(f"- {one}" for one in found.sentences)
    parts = ["## Drift", verdict, found.sides, sentences, table_of_features, hidden(found),
             found.limits_in_words]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def metrics(drift: Drift) -> dict[str, float]:
    """By feature, so that the UI plots each over time."""
    named = dict(drift.features) | {
        f"({ANSWERS[part]})": one for part, one in drift.answers.items()
    }
    found = {"drifted_features": float(len(drift.drifted))}
    for name, one in named.items():
        key = re.sub(r"[^\w. -]", "_", name)[:200].strip(". ") or "_"
        found |= {
            f"{statistic}/{key}": value
            for statistic, value in (("psi", one.psi), ("ks", one.ks))
            if value is not None
        }
    if drift.dependence:
        found["dependence_auc"] = drift.dependence.auc
    return found | ({"accuracy": drift.accuracy.current} if drift.accuracy else {})
