"""What Prometheus reads at /metrics, for each arm and over all workers."""

import os
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import psutil

from ratchet.predictions.record import LabelResult, Record

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ANSWERED = attrgetter("arm", "model_version", "latency_ms")


class Tallies:
    def __init__(self) -> None:
        # BentoML sets where the workers' numbers meet before it hands out its metrics.
        from bentoml import metrics

        _forget_dead_workers()
        by_arm = ["arm", "version"]
        self._requests = metrics.Counter("ratchet_requests", "Rows answered", by_arm)
        self._latency = metrics.Histogram(
            "ratchet_latency_seconds", "Until the model had answered", ["arm"], buckets=BUCKETS
        )
        self._errors = metrics.Counter("ratchet_errors", "Rows a model failed at", ["arm"])
        self._fallbacks = metrics.Counter("ratchet_fallbacks", "Rows prod answered for staging")
        self._labels = metrics.Counter("ratchet_labels", "Labels set", by_arm)
        self._right = metrics.Counter("ratchet_right_answers", "Labels that agree", by_arm)
        self._refused = metrics.Counter("ratchet_refused", "Requests not answered", ["status"])
        self._queue = metrics.Gauge(
            "ratchet_log_queue", "Writes not committed yet", multiprocess_mode="livesum"
        )
        for arm in ("A", "B"):
            self._errors.labels(arm)  # 0 until there is one, rather than not there
        self._children: dict[tuple[str, str], tuple[Any, Any]] = {}

    def answered(self, records: Sequence[Record]) -> None:
        """Of one request: its rows were answered together, arm by arm."""
        rows = Counter(map(ANSWERED, records))
        for (arm, version, milliseconds), count in rows.items():
            requests, latency = self._of(arm, version)
            requests.inc(count)
            latency.observe(milliseconds / 1000)
        if fallen := [one.assigned_arm for one in records if one.fallback]:
            self._errors.labels(fallen[0]).inc(len(fallen))
            self._fallbacks.inc(len(fallen))

    def prod_failed(self, rows: int) -> None:
        self._errors.labels("A").inc(rows)

    def refused(self, status: int) -> None:
        self._refused.labels(str(status)).inc()

    def labelled(self, results: Sequence[LabelResult]) -> None:
        """Count the new labels."""
        for result in results:
            if result.outcome == "set":
                self._labels.labels(result.arm, result.model_version).inc()
                self._right.labels(result.arm, result.model_version).inc(int(bool(result.is_right)))

    def queue(self, waiting: int) -> None:
        self._queue.set(waiting)

    def _of(self, arm: str, version: str) -> tuple[Any, Any]:
        key = (arm, version)
        if key not in self._children:
            self._children[key] = (self._requests.labels(arm, version), self._latency.labels(arm))
        return self._children[key]


def _forget_dead_workers() -> None:
    """A worker that was killed could not take its gauges back."""
    from prometheus_client import multiprocess

    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = file.stem.rpartition("_")[2]
        if not psutil.pid_exists(int(pid)):
            multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]
