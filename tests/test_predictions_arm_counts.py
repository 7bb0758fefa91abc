"""The counts of a running A/B test, on both databases."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ratchet.predictions import arm_counts
from ratchet.predictions.arm_counts import ArmCounts, Counts, VersionPair
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Label
from ratchet.serving import ab_numbers as numbers_module
from ratchet.serving.ab_numbers import PageNumbers, ab_numbers
from ratchet.settings import PromotionSettings
from tests.clusters import new_cluster
from tests.records import a_record

TEST = VersionPair("iris", "1", "2")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setenv("RATCHET_LOG_JOURNAL", str(tmp_path / "journal.db"))
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'log.db'}"
    else:
        with new_cluster() as cluster:
            yield cluster.create("log")


def counts_that(counts: ArmCounts, are_right: Callable[[Counts], bool]) -> Counts:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        latest = counts.latest(TEST)
        if latest and latest.is_complete and are_right(latest):
            return latest
        time.sleep(0.02)
    raise AssertionError("the condition did not become true in time")


def total(counts: Counts, arm: str, since: float = 0) -> tuple[int, int, int]:
    buckets = list(counts.buckets(arm, since))
    return (
        sum(one.requests for one in buckets),
        sum(one.labelled for one in buckets),
        sum(one.right for one in buckets),
    )


def test_the_counts_are_those_of_the_log_over_many_slices(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_counts, "ROWS_PER_SLICE", 7)
    log, now = PredictionLog(url), time.time()
    records = [
        a_record(
            f"user-{number % 9}",
            now - 3600 + number,
            arm="AB"[number % 3 == 0],
            assigned_arm="AB"[number % 3 == 0],
            latency_ms=float(number),
            error="took too long" if number % 30 == 0 else None,
        )
        for number in range(60)
    ]
    other = a_record("user-x", now - 10, staging_version="3")
    log.append_now([*records, other])
    log.label_now([Label(one.request_id, '"setosa"', now) for one in records[:50]])
    log.label_now([Label(one.request_id, '"virginica"', now) for one in records[50:]])
    counts = ArmCounts(url, max_users=4)
    latest = counts_that(counts, lambda one: total(one, "A")[1] == 40)
    assert len(latest.slices) == 9
    assert total(latest, "A") == (40, 40, 33)
    assert total(latest, "B") == (20, 20, 17)
    assert latest.failures("B", 0) == 2
    assert latest.labelled_users("A", 0) >= 4
    assert total(latest, "A", now - 3600 + 42)[0] == 12
    assert max(latest.latencies["B"]) == 57.0

    late = a_record("user-1", now - 3600 + 0.5)
    log.append_now([late])
    log.label_now([Label(late.request_id, '"setosa"', now)])
    latest = counts_that(counts, lambda one: total(one, "A")[0] == 41)
    assert total(latest, "A") == (41, 41, 34)
    counts.close()
    log.close()


def test_the_counts_of_another_test_start_at_zero(url: str) -> None:
    log = PredictionLog(url)
    log.append_now([a_record()])
    counts = ArmCounts(url, max_users=4)
    assert total(counts_that(counts, lambda _: True), "A") == (1, 0, 0)
    assert counts.latest(TEST._replace(staging="9")) is None
    counts.close()
    log.close()


def test_the_numbers_of_the_page_say_what_is_missing(url: str) -> None:
    log = PredictionLog(url)
    record = a_record(arm="B", assigned_arm="B")
    log.append_now([record, a_record()])
    log.label_now([Label(record.request_id, '"virginica"', time.time())])
    counts = ArmCounts(url, max_users=100)
    latest = counts_that(counts, lambda one: total(one, "B") == (1, 1, 0))
    numbers = ab_numbers(latest, 24.0, PromotionSettings(min_labelled=3, min_errors=1))
    assert numbers["missing"] == [
        "3 labelled users in arm A",
        "1 labelled errors in arm A, or the deadline",
        "2 labelled users in arm B",
    ]
    assert [point["requests"] for point in numbers["arms"]["B"]["curve"]] == [1]
    assert numbers["arms"]["B"]["accuracy"]["value"] == 0.0
    counts.close()
    log.close()


def test_many_pages_cost_one_computation(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = PredictionLog(url)
    log.append_now([a_record()])
    counts = ArmCounts(url, max_users=4)
    latest = counts_that(counts, lambda one: total(one, "A") == (1, 0, 0))
    computed = []
    compute = numbers_module.ab_numbers
    monkeypatch.setattr(numbers_module, "ab_numbers", lambda *a: computed.append(a) or compute(*a))
    page = PageNumbers(PromotionSettings())

    async def many_pages() -> list[dict[str, object]]:
        return await asyncio.gather(*[page.get(latest, 24.0) for _ in range(16)])

    answers = asyncio.run(many_pages())
    assert [one["arms"]["A"]["requests"] for one in answers] == [1] * 16
    assert len(computed) == 1
    for one in (page, counts, log):
        one.close()


def test_a_refresh_counts_the_newest_slices_and_no_more_than_it_has_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_counts, "ROWS_PER_SLICE", 5)
    monkeypatch.setattr(arm_counts, "SECONDS_PER_REFRESH", 0)
    url, now = f"sqlite:///{tmp_path / 'log.db'}", time.time()
    log = PredictionLog(url)
    log.append_now([a_record(at=now - 100 + number) for number in range(40)])
    log.close()
    counts = ArmCounts(url, max_users=4)
    for _ in range(2):
        counts._refresh(TEST)
        latest = counts.latest(TEST)
        assert latest
        assert not latest.is_complete
        assert [bool(one.counted_at) for one in latest.slices[-3:]] == [False, True, True]
    counts.close()
