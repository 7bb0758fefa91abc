from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet.columns import Column
from ratchet.errors import InputError
from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Window
from ratchet.promotion.ab_test import LOG_COLUMNS, ABTest, both_answers
from ratchet.promotion.counting import trial_of
from ratchet.promotion.decision import decide
from ratchet.promotion.requests import requests_of
from ratchet.promotion.rescoring import feature_rows
from ratchet.promotion.trial import Trial
from ratchet.promotion.units import Answers, labelled_units
from ratchet.settings import PromotionSettings
from tests.traffic import START, rows_of_test

LONG_AFTER = START + 1e6
HOUR = 3600.0
FIRST_REQUEST = {"window_days": 0.0, "min_days": 0.0}
PAIR = ABTest("iris", "1", "2", None, 0.0, 0.5)


def counted(
    rows: pd.DataFrame,
    now: float = LONG_AFTER,
    answers: Answers | None = None,
    slices: tuple[str, ...] = (),
    **settings: Any,
) -> Trial:
    promotion = PromotionSettings(**FIRST_REQUEST | settings)
    requests = requests_of(rows, promotion, now)
    return trial_of(requests, answers or Answers("1", "2"), promotion, now, slices)


def test_a_user_counts_once_by_the_first_labelled_request():
    rows = rows_of_test(users=300, requests=5)
    rows.loc[rows["user_id"] == "u7", "label"] = [None, "yes", "no", "no", "no"]
    trial = counted(rows)
    assert trial.evidence.labelled == 300
    assert trial.a.requests + trial.b.requests == 1500
    assert counted(rows, unit="request").evidence.labelled == 1499


def test_only_matured_requests_count_and_only_labels_in_time():
    rows = rows_of_test(users=100)
    rows["label_time"] = rows["time"] + np.where(np.arange(100) < 10, 3 * HOUR, 60.0)
    now = float(rows["time"].iloc[59]) + HOUR
    trial = counted(rows, now, maturity_hours=1.0)
    assert trial.a.matured + trial.b.matured == 60
    assert trial.evidence.labelled == 50
    assert trial.late_labels > 0.05


def test_a_label_that_comes_too_late_changes_nothing_afterwards():
    """The row of units only grows at its end, so no look rewrites an earlier one."""
    rows = rows_of_test(users=400, seed=3)
    rows["label_time"] = rows["time"] + np.random.default_rng(3).exponential(0.7 * HOUR, 400)
    early = rows.assign(label=rows["label"].where(rows["label_time"] <= START + 1.1 * HOUR))
    seen = requests_of(
        early, PromotionSettings(window_days=0.0, maturity_hours=1.0), START + 1.1 * HOUR
    )
    later = requests_of(rows, PromotionSettings(window_days=0.0, maturity_hours=1.0), LONG_AFTER)
    assert later.labelled.rows[: len(seen.labelled.rows)].tolist() == seen.labelled.rows.tolist()
    assert 0 < len(seen.labelled.rows) < len(later.labelled.rows)


def test_late_labels_without_a_maturity_stop_the_decision():
    rows = rows_of_test(users=2000, prod=0.9, staging=0.9)
    wrong_in_b = (rows["arm"] == "B") & (rows["prediction"] != rows["label"])
    rows["label_time"] = rows["time"] + np.where(wrong_in_b, 5 * HOUR, 0.0)
    so_far = rows.assign(label=rows["label"].where(rows["label_time"] < START + HOUR))
    assert decide(counted(so_far, START + HOUR), PromotionSettings()).decision == "keep_testing"
    trial = counted(rows)
    checks = {check.name: check.passed for check in decide(trial, PromotionSettings()).checks}
    assert checks["label maturity"] is False


def test_an_arm_without_labels_stops_the_comparison():
    rows = rows_of_test(users=4000, prod=0.9, staging=0.9)
    wrong_in_b = (rows["arm"] == "B") & (rows["prediction"] != rows["label"])
    trial = counted(rows.assign(label=rows["label"].mask(wrong_in_b)))
    checks = {check.name: check.passed for check in decide(trial, PromotionSettings()).checks}
    assert checks["label coverage"] is False
    assert checks["sample ratio of users"] is True


def test_users_in_both_arms_under_one_split_are_counted():
    rows = rows_of_test(users=500, requests=2)
    flipped = rows["user_id"].isin([f"u{i}" for i in range(30)]) & (rows.index >= 500)
    rows.loc[flipped, "assigned_arm"] = np.where(rows.loc[flipped, "arm"] == "A", "B", "A")
    assert counted(rows).switched_users == 30
    rows.loc[rows.index >= 500, "split"] = 0.7  # another split may move users
    assert counted(rows).switched_users == 0


def test_a_split_of_zero_or_one_tests_nothing():
    rows = rows_of_test(users=600)
    rows.loc[:99, "split"] = 0.0
    rows.loc[100:199, "split"] = 1.0
    assert counted(rows).evidence.users == 400


def test_each_split_is_compared_with_its_own_users():
    rows = rows_of_test(users=4000, split=0.2)
    more = rows_of_test(users=4000, split=0.6, seed=1)
    more["user_id"] += "-later"
    more["request_id"] += "-later"
    trial = counted(pd.concat([rows, more], ignore_index=True))
    assert set(trial.splits) == {0.2, 0.6}
    assert trial.sample_ratio_log_e < 0
    wrong = pd.concat([rows, more.assign(split=0.65)], ignore_index=True)
    assert counted(wrong).sample_ratio_log_e > 6.9


def test_staging_counts_as_wrong_if_prod_had_to_answer_for_it():
    rows = rows_of_test(users=1000, prod=0.9, staging=0.9)
    rows["fallback"] = (rows["arm"] == "B") & (np.arange(1000) % 3 == 0)
    trial = counted(rows)
    assert trial.b.failed == rows["fallback"].sum()
    assert trial.b.mean == pytest.approx(0.6, abs=0.05)
    assert "error rate" in [
        c.name for c in decide(trial, PromotionSettings()).checks if not c.passed
    ]


def test_the_assigned_arm_counts_even_if_the_other_one_answered():
    rows = rows_of_test(users=200)
    rows.loc[rows["arm"] == "B", "arm"] = "A"
    assert counted(rows).b.users > 50


def test_costs_weigh_the_wrong_answers():
    rows = rows_of_test(users=500)
    costs = {"yes": {"no": 10.0}, "no": {"yes": 1.0}}
    trial = counted(rows, costs=costs)
    confusion = trial.b.confusion
    expected = 1 - (10 * confusion["yes"].get("no", 0) + confusion["no"].get("yes", 0)) / (
        10 * trial.b.labelled
    )
    assert trial.b.mean == pytest.approx(expected)


def test_a_pair_of_classes_without_a_cost_is_named():
    with pytest.raises(InputError, match=r"promotion\.costs has no cost for 'no' answered 'yes'"):
        counted(rows_of_test(users=500), costs={"yes": {"no": 10.0}})


def test_slices_are_the_values_of_a_feature():
    rows = rows_of_test(users=1000)
    rows["features"] = [
        {"region": "north" if i % 4 else "south", "age": float(i)} for i in range(1000)
    ]
    names = [one.name for one in counted(rows, slices=("region", "age")).slices]
    assert names[:2] == ["region=north", "region=south"]
    assert len(names) == 6  # a number with many values is cut at its quartiles


def test_pairs_are_judged_by_both_answers_of_each_request():
    rows = rows_of_test(users=1000, prod=0.9, staging=0.9)
    wrong = pd.Series(np.where(rows["label"] == "yes", "no", "yes"), dtype=object)
    prod = rows["label"].mask(np.arange(1000) % 10 == 0, wrong)
    staging = rows["label"].mask(np.arange(1000) % 50 == 1, wrong)
    trial = counted(rows, answers=Answers("1", "2", prod, staging), method="paired")
    assert trial.evidence.method == "exact sequential McNemar"
    assert (trial.a.labelled, trial.a.wrong, trial.b.wrong) == (1000, 100, 20)
    assert trial.evidence.first == "promote"
    assert trial.evidence.difference == pytest.approx(0.08)


def test_an_empty_log_gives_a_decision_and_not_an_error():
    trial = counted(rows_of_test(users=10).iloc[:0])
    verdict = decide(trial, PromotionSettings())
    assert verdict.decision == "keep_testing"
    assert trial.evidence.labelled == 0


def shadowed(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the other version's shadow predictions: two thirds of them are wrong."""
    other = np.where(rows["arm"] == "B", "1", "2")
    says = np.where(np.arange(len(rows)) % 3 == 0, rows["label"], "perhaps")
    return rows.assign(shadow_version=other, shadow_prediction=says)


def never(version: str, rows: pd.DataFrame) -> list[Any]:
    raise AssertionError(f"version {version} was asked {len(rows)} times")


def test_shadow_answers_replace_rescoring_by_the_models():
    rows = shadowed(rows_of_test(users=300))
    answers = both_answers(rows, PAIR, never)
    assert answers.prod is not None
    assert answers.staging is not None
    in_b = rows["arm"] == "B"
    assert (answers.staging[in_b] == rows["prediction"][in_b]).all()
    assert (answers.prod[in_b] == rows["shadow_prediction"][in_b]).all()


def test_models_are_asked_only_for_answers_that_the_log_lacks():
    rows = shadowed(rows_of_test(users=300))
    rows.loc[:9, "shadow_prediction"] = None
    rescored: dict[str, int] = {}

    def rescore(version: str, some: pd.DataFrame) -> list[Any]:
        rescored[version] = len(some)
        return ["yes"] * len(some)

    answers = both_answers(rows, PAIR, rescore)
    assert sum(rescored.values()) == 10
    assert answers.prod is not None
    assert not answers.prod.isna().any()


def test_agreement_is_a_covariate_and_not_an_assumption():
    """Only staging is right on 7 % of the requests, only prod on 2 %."""
    rng = np.random.default_rng(55)
    drawn = rng.random(6000)
    rows = rows_of_test(users=6000, seed=5)
    wrong = np.where(rows["label"] == "yes", "no", "yes")
    prod = pd.Series(np.where((drawn < 0.07) | (drawn > 0.97), wrong, rows["label"]))
    staging = pd.Series(np.where(drawn > 0.95, wrong, rows["label"]))
    rows["prediction"] = np.where(rows["arm"] == "B", staging, prod)
    known = Answers("1", "2", prod, staging)
    evidence = {
        "ab": counted(rows).evidence,
        "ab, answers known": counted(rows, answers=known).evidence,
        "answers": counted(rows, answers=known, method="answers").evidence,
        "paired": counted(rows, answers=known, method="paired").evidence,
    }
    firsts = [one.first_at or 0 for one in evidence.values()]
    assert firsts == sorted(firsts, reverse=True)
    assert [one.first for one in evidence.values()] == ["promote"] * 4
    widths = [one.interval[1] - one.interval[0] for one in evidence.values()]
    assert widths[0] > widths[2]


def test_a_confident_prod_is_a_covariate_and_saves_users():
    """Staging mends half of the errors; prod is right on .6, .95 or .999 and knows it."""
    firsts = []
    for seed in range(8):
        rng = np.random.default_rng([seed, 56])
        rows = rows_of_test(users=4000, seed=seed)
        confidence = np.array([0.6, 0.95, 0.999])[rng.integers(0, 3, 4000)]
        is_b = (rows["arm"] == "B").to_numpy()
        right = rng.random(4000) < np.where(is_b, (1 + confidence) / 2, confidence)
        rows["prediction"] = np.where(right, rows["label"], "perhaps")
        known = Answers("1", "2", rows["prediction"], rows["prediction"])
        alone = counted(rows, answers=known).evidence.first_at or 4000
        confident = replace(known, confidence=pd.Series(confidence))
        firsts.append((alone, counted(rows, answers=confident).evidence.first_at or 4000))
    without, with_confidence = np.mean(firsts, axis=0)
    assert with_confidence < 0.9 * without


def test_only_the_first_request_of_a_user_tells_its_group():
    """Later requests may depend on the arm: here only arm B's users ask again, for a label."""
    rng = np.random.default_rng(57)
    rows = rows_of_test(users=600, seed=7)
    again = rows[rows["arm"] == "B"].assign(time=rows["time"].max() + 1.0)
    log = pd.concat([rows, again], ignore_index=True)
    log["label_time"] = log["time"]
    log.loc[log.index[:600][rows["arm"] == "B"], "label"] = None
    first = pd.Series(rng.choice([0.7, 0.99], 600))
    confidence = pd.concat([first, pd.Series(np.full(len(again), 0.55))], ignore_index=True)
    answers = Answers("1", "2", log["prediction"], log["prediction"], confidence)
    promotion = PromotionSettings(**FIRST_REQUEST | {"window_days": 1.0})
    units = labelled_units(requests_of(log, promotion, LONG_AFTER), answers, promotion)
    assert sorted(set(units.stratum)) == [1 + 2 * 2, 1 + 2 * 7]


def test_the_deadline_promotes_if_the_evidence_is_above_its_drawn_limit():
    rows = rows_of_test(users=900, seed=3)
    rng = np.random.default_rng(58)
    chance = np.where(rows["arm"] == "B", 0.92, 0.88)
    rows["prediction"] = np.where(rng.random(900) < chance, rows["label"], "perhaps")
    promotion = PromotionSettings(**FIRST_REQUEST | {"deadline_days": 5.0})
    requests = requests_of(rows, promotion, LONG_AFTER)

    def decided(draw: float) -> Trial:
        return trial_of(requests, Answers("1", "2"), promotion, LONG_AFTER, draw=draw)

    e_value = np.exp(decided(1.0).evidence.curve[-1][1])
    assert 2 < e_value < 20
    assert decide(decided(1.0), promotion).decision == "reject"
    assert decide(decided(0.99 * e_value / 20), promotion).decision == "promote"
    assert decide(decided(1.01 * e_value / 20), promotion).decision == "reject"
    reason = decide(decided(0.1), promotion).reason
    assert "above the limit drawn for it, e-value 2.0" in reason


def test_what_comes_after_the_deadline_promotes_nothing():
    rows = rows_of_test(users=3000, seed=4)
    is_b = rows["arm"] == "B"
    rows["prediction"] = np.where(is_b | (rows.index % 5 > 0), rows["label"], "perhaps")
    start, end = rows["time"].min(), rows["time"].max()
    days = 0.02 * (end - start) / 86_400
    promotion = PromotionSettings(**FIRST_REQUEST | {"deadline_days": days})
    assert counted(rows, deadline_days=None).evidence.first == "promote"
    requests = requests_of(rows, promotion, LONG_AFTER)
    assert trial_of(requests, Answers("1", "2"), promotion, LONG_AFTER).evidence.first == "neither"


def test_a_test_draws_the_same_limit_at_each_look_and_another_test_draws_another():
    draws = [ABTest("iris", "1", str(number), None, 5.0, 0.5).draw for number in range(2, 400)]
    assert draws[0] == ABTest("iris", "1", "2", None, 5.0, 0.5).draw
    assert 0.45 < np.mean(draws) < 0.55
    assert 0 < min(draws) < 0.02 < 0.98 < max(draws) <= 1


def test_a_request_that_an_export_repeats_counts_once(tmp_path: Path):
    rows = rows_of_test(users=300).assign(prod_version="1", staging_version="2")
    pd.concat([rows] * 4).to_csv(tmp_path / "log.csv", index=False)
    repeated = read_log(str(tmp_path / "log.csv"), Window("1", "2"), LOG_COLUMNS).frame
    assert counted(repeated, unit="request").evidence.labelled == 300
    assert counted(repeated, unit="request").a.requests == counted(rows, unit="request").a.requests


def missing_by_outcome(seed: int, users: int = 3000, share: float = 0.5) -> pd.DataFrame:
    """Return a log of equal versions; half of staging's errors and 30 % of others lack labels."""
    rows = rows_of_test(users=users, prod=0.9, staging=0.9, seed=seed)
    rng = np.random.default_rng(seed + 1000)
    is_wrong = (rows["arm"] == "B") & (rows["prediction"] != rows["label"])
    missing = np.where(is_wrong, rng.random(users) < share, False) | (rng.random(users) < 0.3)
    return rows.assign(label=rows["label"].mask(missing))


def test_labels_that_are_missing_by_outcome_promote_no_equal_version():
    """The coverage check alone alarms too late: most of these tests would be promoted."""
    quiet = {"deadline_days": None}
    default, at_random = [], []
    for seed in range(10):
        rows = missing_by_outcome(seed)
        default.append(counted(rows, **quiet).evidence.first)
        trusting = counted(rows, labels="missing_at_random", **quiet).evidence.first
        at_random.append(trusting)
    assert default.count("promote") <= 1
    assert at_random.count("promote") >= 5


def test_counting_missing_labels_as_wrong_changes_nothing_if_none_is_missing():
    rows = rows_of_test(users=2000, seed=1)
    evidence = counted(rows).evidence
    assert evidence.log_e_missing_wrong is None
    assert evidence == counted(rows, labels="missing_at_random").evidence


def test_some_missing_labels_delay_a_promotion_and_do_not_prevent_it():
    rows = rows_of_test(users=6000, prod=0.9, staging=0.95, seed=0)
    some = rows.assign(label=rows["label"].mask(np.random.default_rng(50).random(6000) < 0.1))
    assert counted(some).evidence.first == "promote"


def test_the_mean_of_a_users_window_counts_and_not_only_the_first_request():
    """Staging is right on first requests and wrong later; prod is right on 0.9 of all."""
    rows = rows_of_test(users=600, requests=5, prod=0.9, staging=0.85, seed=1)
    is_first = ~rows["user_id"].duplicated()
    in_b = rows["arm"] == "B"
    rows["prediction"] = rows["prediction"].mask(is_first & in_b, rows["label"])
    assert counted(rows, min_labelled=1).evidence.first == "promote"
    trial = counted(rows, window_days=1.0)
    assert trial.evidence.labelled == 600
    assert trial.b.mean == pytest.approx((1 + 4 * 0.85) / 5, abs=0.02)
    assert trial.evidence.first != "promote"


def test_a_window_that_is_still_open_does_not_count():
    rows = rows_of_test(users=100, requests=2, seconds_apart=60.0)
    now = START + 3600.0 + 30 * 60.0
    trial = counted(rows, now, window_days=1 / 24)
    assert trial.evidence.labelled == 31  # users whose first request is an hour old


def test_a_window_ends_when_the_split_changes():
    rows = rows_of_test(users=200, requests=2)
    rows.loc[rows.index >= 200, "split"] = 0.7
    rows.loc[rows.index >= 200, "label"] = "no label of this kind"
    trial = counted(rows, window_days=1.0)
    assert trial.a.mean == pytest.approx(0.9, abs=0.07)


def test_a_promotion_waits_for_the_minimum_duration_and_a_rejection_does_not():
    rows = rows_of_test(users=3000, prod=0.85, staging=0.95, seconds_apart=60.0)
    early = float(rows["time"].max())
    settings = PromotionSettings(window_days=0, min_days=7)
    for now, decision in ((early, "keep_testing"), (START + 8 * 86_400, "promote")):
        verdict = decide(counted(rows, now, min_days=7.0), settings)
        assert verdict.decision == decision
    assert "waits for day 7" in decide(counted(rows, early, min_days=7.0), settings).reason
    worse = rows_of_test(users=3000, prod=0.95, staging=0.85, seconds_apart=60.0)
    assert decide(counted(worse, early, min_days=7.0), settings).decision == "reject"


def test_a_novelty_that_is_over_before_the_minimum_duration_promotes_nothing():
    new = rows_of_test(users=1200, prod=0.9, staging=0.96, seed=1, seconds_apart=60.0)
    rest = rows_of_test(users=9000, prod=0.9, staging=0.84, seed=2, seconds_apart=60.0)
    rest = rest.assign(
        user_id=rest["user_id"] + "-later",
        request_id="x" + rest["request_id"],
        time=rest["time"] + 1200 * 60.0,
        label_time=rest["label_time"] + 1200 * 60.0,
    )
    rows = pd.concat([new, rest], ignore_index=True)
    assert counted(rows).evidence.first == "promote"
    assert counted(rows, min_days=7.0).evidence.first == "reject"


def test_the_check_of_late_labels_proposes_a_maturity():
    rows = rows_of_test(users=2000)
    rows["label_time"] = rows["time"] + 90.0
    verdict = decide(counted(rows), PromotionSettings(min_days=0, window_days=0))
    assert verdict.decision == "keep_testing"
    assert "set promotion.maturity_hours to 0.025" in verdict.reason
    assert counted(rows, maturity_hours=0.025).late_labels == 0


def test_a_log_that_deleted_the_start_of_its_test_decides_nothing():
    """Each look would otherwise see another week, and each week is a test of its own."""
    now = START + 10 * 86_400
    test = ABTest("iris", "1", "2", None, START, 0.5)
    assert test.deleted_days(None, now) == test.deleted_days(11.0, now) == 0
    assert test.deleted_days(7.0, now) == pytest.approx(3)
    rows = rows_of_test(users=2000, prod=0.85, staging=0.95)
    settings = PromotionSettings(window_days=0, min_days=0)
    requests = requests_of(rows, settings, now)
    trial = trial_of(requests, Answers("1", "2"), settings, now, deleted_days=3.0)
    verdict = decide(trial, settings)
    assert verdict.decision == "keep_testing"
    assert "ab.retention_days deleted the first 3.0 days of the test" in verdict.reason
    assert trial.days == pytest.approx(13, abs=0.1)


def test_logged_rows_become_the_rows_that_the_service_passes_to_a_model():
    columns = (Column("age", "double"), Column("member", "boolean"), Column("city", "string"))
    features = [
        {"age": "3", "member": "true", "city": "Oslo"},
        {"age": None, "member": None, "city": None},
    ]
    assert feature_rows(pd.Series(features), columns) == [(3.0, True, "Oslo"), (None, None, None)]
