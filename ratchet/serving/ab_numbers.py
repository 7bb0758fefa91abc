"""How a test stands, from the log: counts, accuracy and latency of each arm, over time."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, case, func, select

from ratchet.predictions.tables import predictions
from ratchet.predictions.window import Window
from ratchet.settings import PromotionSettings
from ratchet.statistics.intervals import mean_interval

BUCKETS = 60  # points of a curve
LATENCIES = 2000  # the newest of an arm


def ab_numbers(
    engine: Engine, model: str, prod: str, staging: str | None, hours: float,
    promotion: PromotionSettings,
) -> dict[str, Any]:  # fmt: skip
    """Of the test that runs: these two versions, in the last hours."""
    now = time.time()
    p = predictions.c
    of_test = Window(prod, staging, model=model, since=now - 3600 * hours).conditions()
    if staging is None:
        of_test.append(p.staging_version.is_(None))
    with engine.connect() as connection:
        first = connection.execute(select(func.min(p.time)).where(*of_test)).scalar() or now
        width = max(1.0, (now - first) / BUCKETS)
        arms = {
            arm: _of_arm(connection, [*of_test, p.arm == arm], first, width, arm, promotion.alpha)
            for arm in (("A", "B") if staging else ("A",))
        }
    missing = (
        _missing(arms, promotion)
        if staging
        else ["a staging version: nothing to compare prod with"]
    )
    return {"from": first, "until": now, "width": width, "arms": arms, "missing": missing}


def _of_arm(
    connection: Any, of_arm: Sequence[Any], first: float, width: float, arm: str, alpha: float
) -> dict[str, Any]:
    p = predictions.c
    bucket = func.floor((p.time - first) / width)
    right = func.sum(case((p.label == p.prediction, 1), else_=0))
    rows = connection.execute(
        select(bucket, func.count(), func.count(p.label), right)
        .where(*of_arm)
        .group_by(bucket)
        .order_by(bucket)
    ).all()
    labelled, correct = sum(row[2] for row in rows), sum(int(row[3]) for row in rows)
    users = connection.execute(
        select(func.count(p.user_id.distinct())).where(*of_arm, p.label.is_not(None))
    ).scalar()
    failed = connection.execute(
        select(func.count()).where(*of_arm[:-1], p.assigned_arm == arm, p.error.is_not(None))
    ).scalar()
    newest = select(p.latency_ms).where(*of_arm).order_by(p.request_id.desc()).limit(LATENCIES)
    latencies = sorted(row[0] for row in connection.execute(newest))
    return {
        "requests": sum(row[1] for row in rows),
        "labelled": labelled,
        "labelled_users": users,
        "right": correct,
        "accuracy": interval(correct, labelled, alpha),
        "errors": failed,
        "latency_ms": {"p50": _quantile(latencies, 0.5), "p99": _quantile(latencies, 0.99)},
        "curve": _curve(rows, first, width, alpha),
    }


def _curve(rows: Sequence[Any], first: float, width: float, alpha: float) -> list[dict[str, Any]]:
    """Accuracy on all labels up to then."""
    points, labelled, right = [], 0, 0
    for bucket, requests, labels, correct in rows:
        labelled, right = labelled + labels, right + int(correct)
        at = first + (int(bucket) + 1) * width
        accuracy = interval(right, labelled, alpha)
        points.append({"time": at, "requests": requests, "accuracy": accuracy})
    return points


def interval(right: int, n: int, alpha: float) -> dict[str, float] | None:
    """A confidence sequence: it holds at every look at once, and the page is looked at often.

    >>> interval(90, 100, 0.05)
    {'value': 0.9, 'low': 0.7725, 'high': 0.9709}
    """
    if n == 0:
        return None
    low, high = mean_interval(right, n, alpha)
    return {"value": round(right / n, 4), "low": round(low, 4), "high": round(high, 4)}


def _missing(arms: dict[str, dict[str, Any]], promotion: PromotionSettings) -> list[str]:
    """Before `promote` looks at the evidence at all."""
    needs = []
    for name, arm in arms.items():
        wrong = arm["labelled"] - arm["right"]
        labelled = arm["labelled_users" if promotion.unit == "user" else "labelled"]
        if labelled < promotion.min_labelled:
            more = promotion.min_labelled - labelled
            needs.append(f"{more} labelled {promotion.unit}s in arm {name}")
        if wrong < promotion.min_errors:
            more = promotion.min_errors - wrong
            needs.append(f"{more} labelled errors in arm {name}, or the deadline")
    return needs


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 3) if ordered else None
