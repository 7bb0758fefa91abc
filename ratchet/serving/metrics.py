"""The metrics that Prometheus reads at /metrics, over all workers."""

import os
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import psutil

from ratchet.predictions.record import LabelResult, Record

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
Mode = Literal["livesum", "livemax", "livemin"]  # over the workers that are alive
GROUP = attrgetter("arm", "model_version", "latency_ms")


class Metrics:
    def __init__(self) -> None:
        # Its import reads the folder that all workers write to. BentoML has set it by then.
        import prometheus_client as metrics

        _forget_dead_workers()
        by_arm = ["arm", "version"]
        self._requests = metrics.Counter("ratchet_requests", "Rows answered", by_arm)
        self._latency = metrics.Histogram(
            "ratchet_latency_seconds", "Time of the model's answer", ["arm"], buckets=BUCKETS
        )
        self._errors = metrics.Counter("ratchet_errors", "Rows a model failed at", ["arm"])
        self._fallbacks = metrics.Counter("ratchet_fallbacks", "Rows prod answered for staging")
        self._labels = metrics.Counter("ratchet_labels", "Labels set", by_arm)
        self._right = metrics.Counter("ratchet_right_answers", "Labels equal to the answer", by_arm)
        self._refused = metrics.Counter("ratchet_refused", "Requests not answered", ["status"])
        self._broken = metrics.Counter(
            "ratchet_contract_broken", "Values that break a rule", ["column", "rule"]
        )
        self._dropped = metrics.Counter("ratchet_shadows_dropped", "Shadow answers left out")
        self._gauges = {
            name: metrics.Gauge(f"ratchet_{name}", text, multiprocess_mode=mode)
            for name, text, mode in GAUGES
        }
        for arm in ("A", "B"):
            self._errors.labels(arm)  # 0 until there is one, rather than missing
        self._children: dict[tuple[str, str], tuple[Any, Any]] = {}
        self._longest_commit = 0.0

    def answered(self, records: Sequence[Record], commit_seconds: float) -> None:
        """Count a request. The rows of one arm were answered together, so they share a latency."""
        self._longest_commit = max(self._longest_commit, commit_seconds)
        for (arm, version, milliseconds), count in Counter(map(GROUP, records)).items():
            requests, latency = self._of(arm, version)
            requests.inc(count)
            latency.observe(milliseconds / 1000)
        self.labelled(
            [
                LabelResult("set", one.arm, one.model_version, one.label == one.prediction)
                for one in records
                if one.label is not None
            ]
        )
        if fallbacks := [record.assigned_arm for record in records if record.fallback]:
            self._errors.labels(fallbacks[0]).inc(len(fallbacks))
            self._fallbacks.inc(len(fallbacks))

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

    def contract_broken(self, column: str, rule: str, rows: int) -> None:
        self._broken.labels(column, rule).inc(rows)

    def shadows_dropped(self, count: int) -> None:
        self._dropped.inc(count)

    def report(self, **values: float) -> None:
        """Set the gauges; called once a second."""
        values["log_commit_seconds"], self._longest_commit = self._longest_commit, 0.0
        for name, value in values.items():
            self._gauges[name].set(value)

    def _of(self, arm: str, version: str) -> tuple[Any, Any]:
        key = (arm, version)
        if key not in self._children:
            self._children[key] = (self._requests.labels(arm, version), self._latency.labels(arm))
        return self._children[key]


GAUGES: tuple[tuple[str, str, Mode], ...] = (
    ("log_queue", "Writes that are not committed yet", "livesum"),
    ("log_commit_seconds", "Longest wait for a commit in the last second", "livemax"),
    ("log_journalling", "1 while requests are kept in the journal", "livemax"),
    ("scorer_queue", "Rows that wait for a model", "livesum"),
    ("shadow_queue", "Answered rows that wait for the other version's answer", "livesum"),
    ("split", "Arm B's share of the traffic", "livemax"),
    ("versions_refused", "Versions with an alias that cannot be served", "livemax"),
    ("registry_up", "1 if the registry answered; also 1 for a Bento, which has none", "livemin"),
)


def _forget_dead_workers() -> None:
    """Remove the gauges of workers that were killed, which could not do so themselves."""
    from prometheus_client import multiprocess

    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        pid = file.stem.rpartition("_")[2]
        if not psutil.pid_exists(int(pid)):
            multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]
