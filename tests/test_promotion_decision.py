from dataclasses import replace
from math import log
from typing import Any

import pytest

from ratchet.promotion.decision import decide
from ratchet.promotion.trial import Arm, Evidence, Slice, Trial
from ratchet.settings import PromotionSettings

SETTINGS = PromotionSettings(min_days=0)
A_DAY = 86_400.0


def arm(version: str, right: int, **changed: Any) -> Arm:
    healthy = Arm(
        version,
        users=1000,
        requests=3000,
        labelled=800,
        outcome=float(right),
        wrong=800 - right,
        matured=900,
        matured_labelled=800,
        failed=0,
        slow=0,
        latency_p99_ms=20.0,
        interval=(0.8, 0.95),
    )
    return replace(healthy, **changed)


def trial(**changed: Any) -> Trial:
    """Return a healthy trial that is not decided yet."""
    evidence = Evidence(
        method="betting, ab",
        log_e_promote=1.2,
        log_e_reject=-0.4,
        log_e_missing_wrong=None,
        threshold=log(20),
        users=2000,
        labelled=1600,
        difference=0.018,
        interval=(-0.01, 0.05),
        null=0.0,
        more_needed=873,
    )
    evidence = replace(evidence, **changed.pop("evidence", {}))
    ab_trial = Trial(
        a=arm("1", 704),
        b=arm("2", 718),
        evidence=evidence,
        window=(0.0, 3 * A_DAY),
        splits={0.5: (2000, 1000)},
        sample_ratio_log_e=-2.0,
        labelled_ratio_log_e=-2.0,
        coverage_log_e=0.3,
        switched_users=0,
        late_labels=0.0,
        error_log_e=0.0,
    )
    return replace(ab_trial, **changed)


PROMOTE = {"first": "promote", "first_at": 1500, "log_e_promote": 3.4}
REJECT = {"first": "reject", "first_at": 900, "log_e_reject": 3.1, "difference": -0.04}


def failed(ab_trial: Trial, settings: PromotionSettings = SETTINGS) -> list[str]:
    return [check.name for check in decide(ab_trial, settings).checks if not check.passed]


def test_a_test_without_proof_continues_and_says_how_long():
    verdict = decide(trial(), SETTINGS)
    assert verdict.decision == "keep_testing"
    assert verdict.reason == "staging leads by 1.8 points, about 870 more labelled users decide"
    assert failed(trial()) == []


def test_proof_promotes_and_the_reason_holds_its_numbers():
    verdict = decide(trial(evidence=PROMOTE), SETTINGS)
    assert verdict.decision == "promote"
    assert verdict.reason == (
        "staging is better: +1.8 points, between -1.0 points and +5.0 points, proved after 1,500"
        " labelled users"
    )


def test_proof_that_staging_is_worse_rejects():
    verdict = decide(trial(evidence=REJECT), SETTINGS)
    assert verdict.decision == "reject"
    assert verdict.reason.startswith("staging is worse: -4.0 points")


def test_the_reason_names_the_margin():
    settings = PromotionSettings(margin=0.02, min_days=0)
    reason = decide(trial(evidence=PROMOTE), settings).reason
    assert reason.startswith("staging is not worse by 2.0 points: +1.8 points")


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"sample_ratio_log_e": 7.0}, "sample ratio of users"),
        ({"labelled_ratio_log_e": 7.0}, "sample ratio of labelled users"),
        ({"coverage_log_e": 7.0}, "label coverage"),
        ({"late_labels": 0.06}, "label maturity"),
        ({"switched_users": 21}, "stickiness"),
    ],
)
def test_a_fault_stops_the_decision_whatever_the_evidence(fault: dict[str, Any], name: str):
    for evidence in (PROMOTE, REJECT):
        verdict = decide(trial(evidence=evidence, **fault), SETTINGS)
        assert verdict.decision == "keep_testing"
        assert verdict.reason.startswith("stopped, nothing can be decided")
    assert failed(trial(**fault)) == [name]


def test_fewer_than_one_percent_of_switched_users_stop_nothing():
    assert failed(trial(switched_users=20)) == []


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ({"error_log_e": 3.0}, "error rate"),
        ({"b": arm("2", 718, slow=90, latency_p99_ms=1800.0)}, "latency p99"),
    ],
)
def test_a_guardrail_rejects_whatever_the_accuracy_and_whatever_the_faults(
    harm: dict[str, Any], name: str
):
    ab_trial = trial(evidence=PROMOTE, sample_ratio_log_e=9.0, **harm)
    assert decide(ab_trial, SETTINGS).decision == "reject"
    assert name in failed(ab_trial)


def test_a_slow_request_among_thousands_breaks_no_guardrail():
    assert failed(trial(b=arm("2", 718, slow=31, latency_p99_ms=1001.0))) == []


@pytest.mark.parametrize("few", [{"labelled": 99}, {"wrong": 4}])
def test_a_promotion_waits_if_an_arm_has_too_few_labels_or_errors(few: dict[str, int]):
    ab_trial = trial(evidence=PROMOTE, b=arm("2", 718, **few))
    verdict = decide(ab_trial, SETTINGS)
    assert (verdict.decision, failed(ab_trial)) == ("keep_testing", ["enough"])
    assert verdict.reason.startswith("too early to decide")


def test_evidence_decides_at_the_deadline_even_with_few_labels():
    ab_trial = trial(evidence=PROMOTE, b=arm("2", 718, wrong=2), window=(0.0, 31 * A_DAY))
    assert decide(ab_trial, SETTINGS).decision == "promote"


@pytest.mark.parametrize(
    "fault", [{}, {"sample_ratio_log_e": 7.0}, {"b": arm("2", 40, labelled=50)}]
)
def test_prod_stays_at_the_deadline_if_nothing_is_proved(fault: dict[str, Any]):
    ab_trial = trial(window=(0.0, 30 * A_DAY), **fault)
    verdict = decide(ab_trial, SETTINGS)
    assert verdict.decision == "reject"
    assert "deadline has passed" in verdict.reason
    assert decide(ab_trial, PromotionSettings(deadline_days=None)).decision == "keep_testing"


def test_a_slice_that_is_worse_blocks_the_promotion_and_is_named():
    slices = [
        Slice("region=north", (400, 400), (0.9, 0.95), -1.0),
        Slice("region=south", (400, 400), (0.9, 0.7), 4.0),
    ]
    verdict = decide(trial(evidence=PROMOTE, slices=slices), SETTINGS)
    assert verdict.decision == "keep_testing"
    assert "better on the whole, but staging is worse in region=south" in verdict.reason


def test_ten_slices_do_not_raise_the_rate_of_false_alarms():
    """3.2 is beyond log(1/.05) = 3.0 and short of log(10/.05) = 5.3."""
    slices = [Slice(f"s={i}", (120, 120), (0.9, 0.9), 3.2 if i == 0 else 0.0) for i in range(10)]
    assert decide(trial(evidence=PROMOTE, slices=slices), SETTINGS).decision == "promote"


def test_the_reason_says_that_no_end_can_be_predicted():
    verdict = decide(trial(evidence={"more_needed": None, "difference": 0.0001}), SETTINGS)
    assert verdict.reason == (
        "staging and prod are level, and at this rate no number of labels decides before the"
        " deadline"
    )


def test_a_promotion_waits_for_labels_in_each_slice():
    slices = [Slice("s=a", (400, 400), (0.9, 0.95), -1.0), Slice("s=b", (99, 150), (0.9, 0.95), 0)]
    verdict = decide(trial(evidence=PROMOTE, slices=slices), SETTINGS)
    assert verdict.decision == "keep_testing"
    assert "s=b has 99 labelled users in an arm; at least 100 are needed" in verdict.reason
    over = decide(trial(evidence=PROMOTE, slices=slices, window=(0.0, 31 * A_DAY)), SETTINGS)
    assert over.decision == "promote"


def test_a_promotion_waits_while_a_slice_may_be_worse():
    slices = [Slice("s=a", (400, 400), (0.9, 0.88), 0.5, p_worse=0.19)]
    verdict = decide(trial(evidence=PROMOTE, slices=slices), SETTINGS)
    assert verdict.decision == "keep_testing"
    assert "staging may be worse in s=a" in verdict.reason


def test_a_promotion_waits_if_the_newer_half_of_the_test_may_be_worse():
    newer = Slice("the newer half of the test", (400, 400), (0.9, 0.86), 1.0, p_worse=0.01)
    verdict = decide(trial(evidence=PROMOTE, newer_half=newer), SETTINGS)
    assert verdict.decision == "keep_testing"
    assert "staging may be worse in the newer half of the test" in verdict.reason
