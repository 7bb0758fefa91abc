"""The watch after a promotion, over a real log and a ledger in memory."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratchet.predictions.prediction_log import PredictionLog
from ratchet.promotion.ab_test import ABTest
from ratchet.promotion.counting import trial_of
from ratchet.promotion.promotion import decision_move
from ratchet.promotion.requests import requests_of
from ratchet.promotion.units import Answers
from ratchet.promotion.watch import Watch, watch
from ratchet.registry.registry import LedgerLine
from ratchet.settings import PromotionSettings
from ratchet.statistics.intervals import mean_interval
from tests.traffic import START, records, rows_of_test

SETTINGS = PromotionSettings(window_days=0, min_days=0)
DAY = 86_400.0


@dataclass
class Ledger:
    """A registry that is asked for its ledger only."""

    lines: list[LedgerLine]
    model: str = "iris"

    def ledger(self) -> list[LedgerLine]:
        return self.lines


def promotion(staging: float, users: int = 1000) -> LedgerLine:
    """Return the ledger's line of the promotion of v2 after a test with these outcomes."""
    rows = rows_of_test(users=users, staging=staging, seed=1)
    requests = requests_of(rows, SETTINGS, START + DAY)
    trial = trial_of(requests, Answers("1", "2"), SETTINGS, START + DAY)
    test = ABTest("iris", "1", "2", None, START, 0.5)
    move = decision_move("promote", "better", test, "run", trial)
    when = datetime.fromtimestamp(START + DAY, UTC).isoformat()
    moves = {alias: (None, number) for alias, number in move.aliases.items()}
    return LedgerLine(when, moves, "better", "", "run", "", done=True, tags=move.tags)


def after(folder: Path, right: float, users: int = 800, lines: Any = None, **shift: Any) -> Any:
    """Let v2 answer users after its promotion, and return what the watch says."""
    rows = rows_of_test(users=users, prod=right, staging=right, seed=2)
    later = 2 * DAY + shift.get("later", 0.0)
    rows = rows.assign(time=rows["time"] + later, label_time=rows["label_time"] + later)
    rows = rows.assign(arm="A", assigned_arm="A")
    address = f"sqlite:///{folder}/predictions.db"
    log = PredictionLog(address)
    log.append_now(records(rows, prod="2"))
    log.close()
    registry: Any = Ledger([promotion(0.95)] if lines is None else lines)
    return watch(registry, SETTINGS, address)


def test_a_novelty_that_is_over_after_the_promotion_proposes_a_rollback(tmp_path: Path):
    result: Watch = after(tmp_path, right=0.84)
    assert result.labelled == 800
    assert result.promise.low == pytest.approx(0.91, abs=0.02)
    assert result.proposes_rollback
    assert "A rollback is proposed: make rollback" in result.sentence


def test_a_prod_that_is_as_good_as_in_its_test_proposes_nothing(tmp_path: Path):
    result: Watch = after(tmp_path, right=0.95)
    assert not result.proposes_rollback
    assert result.sentence.startswith("since v2 is prod, 9")


def test_requests_after_the_deadline_of_the_watch_do_not_count(tmp_path: Path):
    result: Watch = after(tmp_path, right=0.5, later=30 * DAY)
    assert (result.labelled, result.proposes_rollback) == (0, False)
    assert result.sentence.startswith("no labels since v2 is prod")


def test_a_prod_without_a_test_of_its_own_is_not_watched(tmp_path: Path):
    line = LedgerLine(
        datetime.fromtimestamp(START, UTC).isoformat(), {"prod": (None, "2")}, "", "", "", "", True
    )
    assert after(tmp_path, right=0.5, lines=[line]) is None
    assert after(tmp_path, right=0.5, lines=[]) is None


def test_an_unchanged_prod_is_proposed_for_a_rollback_in_at_most_alpha_of_all_watches():
    """Look after each user for 2000 users; the test had 500 users of staging."""
    proposed = 0
    rng = np.random.default_rng(4)
    for _ in range(300):
        low, _ = mean_interval((rng.random(500) < 0.95).sum(), 500, 0.05)
        right = np.cumsum(rng.random(2000) < 0.95)
        looks = np.arange(50, 2001, 50)
        highs = [mean_interval(float(right[n - 1]), int(n), 0.05)[1] for n in looks]
        proposed += min(highs) < low
    assert proposed <= 15
