"""The numbers of the page /ab: counts, accuracy and latency of each arm, over time."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ratchet.predictions.arm_counts import Bucket, Counts
from ratchet.settings import PromotionSettings
from ratchet.statistics.intervals import mean_interval

POINTS = 60  # of a curve
CACHED_HOURS = 16


class PageNumbers:
    """The numbers for all pages: computed once per count, in a thread that nothing else uses."""

    def __init__(self, promotion: PromotionSettings) -> None:
        self._promotion = promotion
        self._thread = ThreadPoolExecutor(1, "page-numbers")
        self._latest: dict[float, tuple[Counts, dict[str, Any]]] = {}  # by hours

    async def get(self, counts: Counts, hours: float) -> dict[str, Any]:
        cached, numbers = self._latest.get(hours, (None, {}))
        if cached is counts:
            return numbers
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._compute, counts, hours)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _compute(self, counts: Counts, hours: float) -> dict[str, Any]:
        cached, numbers = self._latest.get(hours, (None, {}))  # another page was first
        if cached is not counts:
            numbers = ab_numbers(counts, hours, self._promotion)
            if len(self._latest) >= CACHED_HOURS:
                self._latest.clear()
            self._latest[hours] = (counts, numbers)
        return numbers


def ab_numbers(counts: Counts, hours: float, promotion: PromotionSettings) -> dict[str, Any]:
    """Return the numbers of the running test in the last hours."""
    now = time.time()
    since = now - 3600 * hours
    arms = ("A", "B") if counts.test.staging else ("A",)
    first = min((bucket.time for arm in arms for bucket in counts.buckets(arm, since)), default=now)
    width = max(1.0, (now - first) / POINTS)
    by_arm = {arm: _of_arm(counts, arm, since, first, width, promotion.alpha) for arm in arms}
    missing = ["a staging version: nothing to compare prod with"]
    if counts.test.staging:
        missing = _missing(by_arm, promotion)
    return {
        "from": first,
        "until": now,
        "width": width,
        "arms": by_arm,
        "missing": missing,
        "counted_at": counts.counted_at,
        "complete": counts.is_complete,
    }


def _of_arm(
    counts: Counts, arm: str, since: float, first: float, width: float, alpha: float
) -> dict[str, Any]:
    buckets = sorted(counts.buckets(arm, since), key=lambda bucket: bucket.time)
    labelled, right = sum(b.labelled for b in buckets), sum(b.right for b in buckets)
    latencies = counts.latencies.get(arm, [])
    return {
        "requests": sum(bucket.requests for bucket in buckets),
        "labelled": labelled,
        "labelled_users": counts.labelled_users(arm, since),
        "right": right,
        "accuracy": interval(right, labelled, alpha),
        "errors": counts.failures(arm, since),
        "latency_ms": {"p50": _quantile(latencies, 0.5), "p99": _quantile(latencies, 0.99)},
        "curve": _curve(buckets, first, width, alpha),
    }


def _curve(
    buckets: Sequence[Bucket], first: float, width: float, alpha: float
) -> list[dict[str, Any]]:
    """Return points with the accuracy on all labels up to that time."""
    requests = dict[int, int]()
    labelled = dict[int, tuple[int, int]]()
    total = right = 0
    for bucket in buckets:
        point = int((bucket.time - first) / width)
        total, right = total + bucket.labelled, right + bucket.right
        requests[point] = requests.get(point, 0) + bucket.requests
        labelled[point] = (right, total)
    return [
        {
            "time": first + (point + 1) * width,
            "requests": requests[point],
            "accuracy": interval(*labelled[point], alpha),
        }
        for point in requests
    ]


def interval(right: int, n: int, alpha: float) -> dict[str, float] | None:
    """Return a confidence sequence, which stays valid however often somebody looks at the page.

    >>> interval(90, 100, 0.05)
    {'value': 0.9, 'low': 0.7725, 'high': 0.9709}
    """
    if n == 0:
        return None
    low, high = mean_interval(right, n, alpha)
    return {"value": round(right / n, 4), "low": round(low, 4), "high": round(high, 4)}


def _missing(arms: dict[str, dict[str, Any]], promotion: PromotionSettings) -> list[str]:
    """Return what `promote` waits for before it looks at the evidence."""
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
