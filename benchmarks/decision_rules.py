"""The decision rules that are compared: this project's, a z-test's and gbstats'.

A test is looked at every 100 requests.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ratchet.environments import python_of
from ratchet.promotion.counting import trial_of
from ratchet.promotion.decision import decide
from ratchet.promotion.requests import requests_of
from ratchet.promotion.units import Answers
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Codes, Floats
from ratchet.statistics.betting import BETS, Bets, Process, betting, randomised
from ratchet.statistics.mcnemar import mcnemar_log_e

REPOSITORY = Path(__file__).parent.parent
LOCK = REPOSITORY / "benchmarks" / "requirements-gbstats.txt"
LENGTH, LOOK = 5000, 100
ALPHA, EFFECT = 0.05, 0.05


@dataclass(frozen=True)
class Traffic:
    right: Floats
    arm_b: Bools
    split: Floats

    def begun(self, length: int) -> "Traffic":
        return Traffic(self.right[:, :length], self.arm_b[:, :length], self.split[:, :length])

    def as_one(self, length: int) -> "Traffic":
        """Return one test of that many requests: all tests, one after the other, repeatedly."""
        rows = np.arange(length)[None] % self.right.size
        return Traffic(*(part.ravel()[rows] for part in (self.right, self.arm_b, self.split)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Ends:
    """The number of requests until each test is promoted and rejected; infinity means never."""

    promoted: Floats
    rejected: Floats

    @property
    def rates(self) -> tuple[float, float]:
        return (
            float((self.promoted < self.rejected).mean()),
            float((self.rejected < self.promoted).mean()),
        )

    @property
    def mean(self) -> float:
        return float(np.minimum(np.minimum(self.promoted, self.rejected), LENGTH).mean())


def joined(ends: list[Ends]) -> Ends:
    return Ends(
        np.concatenate([one.promoted for one in ends]),
        np.concatenate([one.rejected for one in ends]),
    )


def ends_of(process: Process) -> Ends:
    return Ends(reached(process.promote), reached(process.reject))


def reached(log_e: Floats) -> Floats:
    over = log_e >= np.log(1 / ALPHA)
    look = np.ceil((over.argmax(-1) + 1) / LOOK) * LOOK
    return np.where(over.any(-1), look, np.inf)


def by_betting(
    tests: Traffic, bets: Bets = BETS, stratum: Codes | None = None, draws: Floats | None = None
) -> Ends:
    """Decide by the e-process. With `draws`, each test has its deadline at its last request."""
    scores = randomised(tests.right, tests.arm_b, tests.split, stratum)
    process = betting(scores, 0.0, EFFECT, bets)
    ends = ends_of(process)
    if draws is None:
        return ends
    is_open = np.isinf(ends.promoted) & np.isinf(ends.rejected)
    is_promoted = is_open & (process.promote[:, -1] >= np.log(draws / ALPHA))
    return Ends(np.where(is_promoted, float(LENGTH), ends.promoted), ends.rejected)


def counts_at_looks(tests: Traffic) -> NDArray[np.int64]:
    """Return an array: tests x looks x (n A, right A, n B, right B)."""
    columns = [
        np.cumsum(values, -1)[:, LOOK - 1 :: LOOK]
        for arm in (~tests.arm_b, tests.arm_b)
        for values in (arm, arm * tests.right)
    ]
    return np.stack(columns, -1).astype(np.int64)


def z_test(counts: NDArray[np.int64]) -> Ends:
    """Test two proportions at each look, as people do by hand: pooled, two-sided, at .05."""
    n_a, right_a, n_b, right_b = np.moveaxis(counts.astype(float), -1, 0)
    pooled = (right_a + right_b) / (n_a + n_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
        z = np.nan_to_num((right_b / n_b - right_a / n_a) / error)
    return Ends(_first_look(z > 1.96), _first_look(z < -1.96))


def _first_look(over: Bools) -> Floats:
    return np.where(over.any(-1), (over.argmax(-1) + 1.0) * LOOK, np.inf)


def by_gbstats(counts: Mapping[str, NDArray[np.int64]]) -> dict[str, Ends]:
    python = str(python_of(LOCK))
    with TemporaryDirectory() as folder:
        file, answer = Path(folder) / "counts.npz", Path(folder) / "looks.json"
        np.savez_compressed(file, **dict(counts))  # type: ignore[arg-type]
        script = str(REPOSITORY / "benchmarks/decision_gbstats.py")
        subprocess.run([python, script, str(file), str(answer)], check=True)
        looks = json.loads(answer.read_text())
    return {
        name: _ends_of_looks(np.array(test_looks, dtype=float))
        for name, test_looks in looks.items()
    }


def _ends_of_looks(looks: Floats) -> Ends:
    requests = np.where(looks > 0, looks * LOOK, np.inf)
    return Ends(requests[:, 0], requests[:, 1])


def by_mcnemar(staging: Bools, prod: Bools) -> Ends:
    won, lost = (np.cumsum(side, -1, dtype=np.int64) for side in (staging, prod))
    return ends_of(Process(mcnemar_log_e(won, lost), mcnemar_log_e(lost, won)))


def with_answers(tests: Traffic, staging: Bools, prod: Bools, alone: bool) -> Ends:
    same = ~(staging | prod)
    certain = same if alone else None
    scores = randomised(tests.right, tests.arm_b, tests.split, same.astype(int), certain)
    return ends_of(betting(scores, 0.0, EFFECT))


def counts_so_far(tests: Traffic, here: NDArray[np.int64]) -> NDArray[np.int64]:
    looks = np.arange(LOOK, LENGTH + 1, LOOK)
    columns = []
    for arm in (~tests.arm_b, tests.arm_b):
        for values in (arm.astype(float), arm * tests.right):
            known = [np.where(here < look, values, 0).sum(-1) for look in looks]
            columns.append(np.stack(known, -1))
    return np.stack(columns, -1).astype(np.int64)


def log_of(test: Traffic, user: NDArray[np.int64], late: int = 0) -> pd.DataFrame:
    """Return one test's rows as the log gives them; B's wrong labels come `late` seconds late."""
    right, arm_b = test.right[0], test.arm_b[0]
    time = np.arange(float(len(right)))
    delay = np.where((right == 0) & arm_b, float(late), 0.0)
    arm = np.where(arm_b, "B", "A")
    return pd.DataFrame(
        {
            "time": time,
            "user_id": user,
            "assigned_arm": arm,
            "split": test.split[0],
            "prediction": 1,
            "label": right.astype(int),
            "label_time": time + delay,
            "latency_ms": 1.0,
            "error": None,
            "fallback": False,
        }
    )


def counted(log: pd.DataFrame) -> Ends:
    settings = PromotionSettings(min_errors=0, deadline_days=None, min_days=0, window_days=0)
    now = float(log["time"].max())
    trial = trial_of(requests_of(log, settings, now), Answers("1", "2"), settings, now)
    decision = decide(trial, settings).decision
    ends = {"promote": (LENGTH, np.inf), "reject": (np.inf, LENGTH)}
    promoted, rejected = ends.get(decision, (np.inf, np.inf))
    return Ends(np.array([float(promoted)]), np.array([float(rejected)]))
