"""Cases like real data, run through the code that decides: logs with missing and late labels,
users whose later requests differ from their first, repeated rows, chosen ids, deleted rows.

Each case gives one decision per test (promote, reject or neither) and the labelled users it took.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.decision_rules import LOOK, Ends
from ratchet.predictions.assignment import arms_of, salt_of
from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Window
from ratchet.promotion.counting import trial_of
from ratchet.promotion.decision import decide
from ratchet.promotion.requests import DAY, HOUR, requests_of
from ratchet.promotion.units import Answers
from ratchet.settings import PromotionSettings

QUIET = {"min_errors": 0, "deadline_days": None, "min_days": 0.0, "window_days": 0.0}


@dataclass(frozen=True)
class Case:
    """A log per seed, the settings, and limits for the rates of promotion and rejection."""

    name: str
    logs: Callable[[np.random.Generator], pd.DataFrame]
    settings: dict[str, Any]
    most_promoted: float = 1.0
    least_promoted: float = 0.0
    most_rejected: float = 1.0
    most_mean: float = float("inf")
    before: dict[str, Any] | None = None  # the settings that come closest to the earlier rule
    slices: tuple[str, ...] = ()


def log_of_users(
    user: np.ndarray, arm_b: np.ndarray, right: np.ndarray, seconds: float = 1.0
) -> pd.DataFrame:
    """Return a log with labels at once; request i comes `seconds` after request i - 1."""
    time = seconds * np.arange(float(len(user)))
    return pd.DataFrame(
        {
            "request_id": np.arange(len(user)).astype(str),
            "time": time,
            "user_id": user,
            "assigned_arm": np.where(arm_b, "B", "A"),
            "split": 0.5,
            "prediction": 1,
            "label": right.astype(float),
            "label_time": time,
            "latency_ms": 1.0,
            "error": None,
            "fallback": False,
            "features": [{}] * len(user),
        }
    )


def single(
    rng: np.random.Generator, users: int, prod: float, staging: float, seconds: float = 1.0
) -> pd.DataFrame:
    arm_b = rng.random(users) < 0.5
    right = rng.random(users) < np.where(arm_b, staging, prod)
    return log_of_users(np.arange(users), arm_b, right, seconds)


def without_labels(log: pd.DataFrame, missing: np.ndarray) -> pd.DataFrame:
    return log.assign(label=log["label"].mask(missing), label_time=log["label_time"].mask(missing))


def missing_by_outcome(at_random: float) -> Callable[[np.random.Generator], pd.DataFrame]:
    """Return a log without labels for half of staging's errors and a share of all requests."""

    def logs(rng: np.random.Generator) -> pd.DataFrame:
        log = single(rng, 5000, 0.9, 0.9)
        is_wrong = (log["assigned_arm"] == "B") & (log["label"] == 0)
        missing = (is_wrong & (rng.random(5000) < 0.5)) | (rng.random(5000) < at_random)
        return without_labels(log, missing.to_numpy())

    return logs


def missing_at_random(rng: np.random.Generator) -> pd.DataFrame:
    return without_labels(single(rng, 5000, 0.9, 0.95), rng.random(5000) < 0.1)


def later_requests_differ(rng: np.random.Generator) -> pd.DataFrame:
    """Return five requests a user: staging is right on .97 of first and .85 of later ones."""
    users, requests = 1500, 5
    user = np.tile(np.arange(users), requests)
    arm_b = (rng.random(users) < 0.5)[user]
    staging = np.where(np.arange(len(user)) < users, 0.97, 0.85)
    right = rng.random(len(user)) < np.where(arm_b, staging, 0.9)
    return log_of_users(user, arm_b, right)


def novelty(rng: np.random.Generator) -> pd.DataFrame:
    """Return a log of 300 users a day: staging is right on .96 for 1,200 users, then on .84."""
    users = 9000
    arm_b = rng.random(users) < 0.5
    staging = np.where(np.arange(users) < 1200, 0.96, 0.84)
    right = rng.random(users) < np.where(arm_b, staging, 0.9)
    return log_of_users(np.arange(users), arm_b, right, DAY / 300)


def worse_in_a_fifth(rng: np.random.Generator) -> pd.DataFrame:
    """Return a log: staging is 10 points worse in one of five regions, else 5 better."""
    users = 5000
    arm_b, region = rng.random(users) < 0.5, rng.integers(0, 5, users)
    staging = np.where(region == 0, 0.8, 0.95)
    right = rng.random(users) < np.where(arm_b, staging, 0.9)
    log = log_of_users(np.arange(users), arm_b, right)
    return _with_region(log, region)


def better_everywhere(rng: np.random.Generator) -> pd.DataFrame:
    log = single(rng, 5000, 0.9, 0.95)
    return _with_region(log, rng.integers(0, 5, 5000))


def _with_region(log: pd.DataFrame, region: np.ndarray) -> pd.DataFrame:
    features = pd.Series([{"region": str(one)} for one in region], dtype=object)
    return log.assign(features=features)


def repeated(rng: np.random.Generator) -> pd.DataFrame:
    """Return what is read of an export in which each row is there four times."""
    log = single(rng, 1000, 0.9, 0.9).drop(columns="features")
    log = log.assign(
        arm=log["assigned_arm"], model_version=log["assigned_arm"].map({"A": "1", "B": "2"})
    )
    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "log.parquet")
        log.loc[np.repeat(np.arange(1000), 4)].to_parquet(file)
        return read_log(file, Window(), tuple(log.columns)).frame


def chosen_ids(secret: bool) -> Callable[[np.random.Generator], pd.DataFrame]:
    """Return a log of 100 ids always right, 100 always wrong, and 1800 honest users.

    The ids were chosen so that the right ones are in arm B if the salt is the version.
    """

    def logs(rng: np.random.Generator) -> pd.DataFrame:
        pool = np.array([f"{one:x}" for one in rng.integers(0, 2**62, 600)])
        guessed = np.array(arms_of(pool.tolist(), "2", 0.5))
        chosen = [*pool[guessed == "B"][:100], *pool[guessed == "A"][:100]]
        honest = [f"honest-{one:x}" for one in rng.integers(0, 2**62, 1800)]
        right = np.concatenate([np.arange(200) < 100, rng.random(1800) < 0.9])
        order = rng.permutation(2000)
        users = np.array([*chosen, *honest])[order]
        salt = salt_of(f"{rng.integers(0, 2**62):x}", "2") if secret else "2"
        arm_b = np.array(arms_of(users.tolist(), salt, 0.5)) == "B"
        return log_of_users(users, arm_b, right[order])

    return logs


def late_by_90_seconds(rng: np.random.Generator) -> pd.DataFrame:
    log = single(rng, 3000, 0.9, 0.95)
    return log.assign(label_time=log["time"] + 90.0)


ALPHA = 0.05
AT_RANDOM = {"labels": "missing_at_random"}
CASES = (
    Case(
        "half of B's wrong labels never come",
        missing_by_outcome(0.0),
        {},
        before=AT_RANDOM,
        most_promoted=ALPHA,
    ),
    Case(
        "the same, and 30 % of all labels",
        missing_by_outcome(0.3),
        {},
        before=AT_RANDOM,
        most_promoted=ALPHA,
    ),
    Case(
        ".90 -> .95, 10 % of labels missing",
        missing_at_random,
        {},
        least_promoted=0.9,
        most_mean=2200,
        before=AT_RANDOM,
    ),
    Case(
        "first request .97, later .85, prod .90",
        later_requests_differ,
        {"window_days": 1.0},
        before={},
        most_promoted=ALPHA,
    ),
    Case(
        "novelty: .96 for 1,200 users, then .84",
        novelty,
        {"min_days": 7.0},
        before={},
        most_promoted=ALPHA,
    ),
    Case(
        "-10 points in a fifth, +5 elsewhere",
        worse_in_a_fifth,
        {},
        most_promoted=0.1,
        slices=("region",),
    ),
    Case(
        "+5 points in each of five slices",
        better_everywhere,
        {},
        least_promoted=0.9,
        slices=("region",),
    ),
    Case(
        "equal, each row four times, unit request",
        repeated,
        {"unit": "request"},
        most_rejected=0.05,
        most_promoted=ALPHA,
    ),
    Case("equal, 200 chosen ids of 2000", chosen_ids(secret=True), {}, most_promoted=ALPHA),
    Case("the same, arms known (no secret)", chosen_ids(secret=False), {}),
    Case(
        ".90 -> .95, labels 90 s late, as proposed",
        late_by_90_seconds,
        {"maturity_hours": 0.025},
        least_promoted=0.9,
        before={},
    ),
)


def outcome_of(case: Case, settings: dict[str, Any], seed: int) -> tuple[str, int]:
    promotion = PromotionSettings.model_validate(QUIET | settings)
    log = case.logs(np.random.default_rng([seed, 15]))
    if case.slices:
        return looked_at(case, log, promotion)
    if promotion.window_days or promotion.min_days:
        return at_the_end(log, promotion)
    return at_the_first_look(log, promotion)


def at_the_end(log: pd.DataFrame, promotion: PromotionSettings) -> tuple[str, int]:
    """Look when a promotion is possible at the earliest, on day 14 and on day 30."""
    for days in (max(promotion.min_days, promotion.window_days), 14.0, 30.0):
        now = float(log["time"].min()) + days * DAY + DAY / 2
        part = log[log["time"] <= now]
        requests = requests_of(part, promotion, now)
        trial = trial_of(requests, Answers("1", "2"), promotion, now)
        verdict = decide(trial, promotion)
        if verdict.decision != "keep_testing":
            break
    return verdict.decision, trial.evidence.first_at or trial.evidence.labelled


def at_the_first_look(log: pd.DataFrame, promotion: PromotionSettings) -> tuple[str, int]:
    """Decide at the first look with enough evidence; there is a look every 100 requests.

    Faults of the test are e-processes too: a fault that stops a look stops all later ones.
    """
    now = float(log["time"].max()) + HOUR
    requests = requests_of(log, promotion, now)
    evidence = trial_of(requests, Answers("1", "2"), promotion, now).evidence
    if evidence.first_at is None:
        return "keep_testing", evidence.labelled
    row = int(requests.labelled.rows[evidence.first_at - 1])
    part = log.iloc[: min(len(log), ((row + 5) // LOOK + 1) * LOOK)]
    now = float(part["time"].max()) + promotion.maturity_hours * HOUR
    trial = trial_of(requests_of(part, promotion, now), Answers("1", "2"), promotion, now)
    return decide(trial, promotion).decision, evidence.first_at


def looked_at(case: Case, log: pd.DataFrame, promotion: PromotionSettings) -> tuple[str, int]:
    """Look every 250 requests: slices can hold a promotion back at one look and not at the next.

    No look before the evidence suffices can decide, so the first look is the one after that.
    """
    now = float(log["time"].max())
    whole = trial_of(requests_of(log, promotion, now), Answers("1", "2"), promotion, now)
    if whole.evidence.first_at is None:
        return "keep_testing", len(log)
    first = 250 * -(-whole.evidence.first_at // 250)
    for end in range(first, len(log) + 1, 250):
        part = log.iloc[:end]
        now = float(part["time"].max())
        requests = requests_of(part, promotion, now)
        trial = trial_of(requests, Answers("1", "2"), promotion, now, case.slices)
        verdict = decide(trial, promotion)
        if verdict.decision != "keep_testing":
            return verdict.decision, end
    return "keep_testing", len(log)


def kept_for_seven_days(seed: int) -> Ends:
    """Test equal versions: 300 users a day, a look a day for 30 days, rows kept for 7 days."""
    rng = np.random.default_rng([seed, 400])
    promotion = PromotionSettings.model_validate(QUIET)
    log = single(rng, 9000, 0.9, 0.9, DAY / 300)
    for day in range(1, 31):
        now = day * DAY
        part = log[(log["time"] <= now) & (log["time"] > now - 7 * DAY)]
        requests = requests_of(part, promotion, now)
        deleted = max(0.0, day - 7.0)
        trial = trial_of(requests, Answers("1", "2"), promotion, now, deleted_days=deleted)
        decision = decide(trial, promotion).decision
        if decision != "keep_testing":
            ends = (300.0 * day, np.inf)
            promoted, rejected = ends if decision == "promote" else ends[::-1]
            return Ends(np.array([promoted]), np.array([rejected]))
    return Ends(np.array([np.inf]), np.array([np.inf]))
