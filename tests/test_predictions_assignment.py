import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from ratchet.predictions.assignment import arms_of, position, pseudonymize, salt_of
from ratchet.predictions.prediction_log import PredictionLog
from tests.records import arm_of

USERS = [f"user-{number}" for number in range(20_000)]
SHARES = st.floats(0, 1)
# A secret is an environment variable, so it has no NUL; HMAC ignores NULs at the end of a key.
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.text(), st.text(max_size=8), SHARES)
def test_the_same_user_always_gets_the_same_arm(user: str, staging: str, split: float) -> None:
    assert arm_of(user, staging, split) == arm_of(user, staging, split)
    assert 0 <= position(user, staging) < 1


@given(st.text(), st.text(max_size=8), SHARES, SHARES)
def test_raising_the_split_moves_users_only_from_a_to_b(
    user: str, staging: str, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert (arm_of(user, staging, low), arm_of(user, staging, high)) != ("B", "A")


@given(st.text(), st.text(max_size=8))
def test_nobody_is_in_arm_b_at_a_split_of_0_and_everybody_at_1(user: str, staging: str) -> None:
    assert (arm_of(user, staging, 0.0), arm_of(user, staging, 1.0)) == ("A", "B")


def test_all_users_are_in_arm_a_if_there_is_no_staging() -> None:
    assert {arm_of(user, None, 1.0) for user in USERS} == {"A"}


@pytest.mark.parametrize("staging", ["2", "3", "117"])
def test_users_are_spread_evenly(staging: str) -> None:
    counts = [0] * 50
    for user in USERS:
        counts[int(position(user, staging) * 50)] += 1
    assert chisquare(counts).pvalue > 0.001


def test_each_test_assigns_the_users_independently() -> None:
    """A fifth of the users in B under one staging version is in B under the next one."""
    before = [user for user in USERS if arm_of(user, "2", 0.2) == "B"]
    again = sum(arm_of(user, "3", 0.2) == "B" for user in before)
    assert (
        chisquare([again, len(before) - again], [len(before) * 0.2, len(before) * 0.8])[1] > 0.001
    )


def test_the_hash_is_the_same_in_every_process() -> None:
    code = "from ratchet.predictions.assignment import *; print(position('Åse', '7'))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{position('Åse', '7')}\n"}
    assert position("user-1", "7") == 0.1416515377895663


@given(st.text(), SECRETS, SECRETS)
def test_a_pseudonym_is_the_same_each_time_and_differs_with_another_secret(
    user: str, secret: str, other: str
) -> None:
    assert pseudonymize(user, secret) == pseudonymize(user, secret)
    assert len(pseudonymize(user, secret)) == 64
    if secret != other:
        assert pseudonymize(user, secret) != pseudonymize(user, other)


def test_the_arms_of_a_test_are_not_predictable_from_its_version(tmp_path: Path) -> None:
    """Whoever could compute the arms could choose ids that promote a version."""
    arms = []
    for name in ("one", "other"):
        log = PredictionLog(f"sqlite:///{tmp_path}/{name}.db")
        arms.append(arms_of(USERS[:200], log.salt("2"), 0.5))
        log.close()
    assert arms[0] != arms[1]
    assert arms_of(USERS[:200], "2", 0.5) not in arms


def test_all_workers_of_a_log_use_one_secret_also_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/predictions.db"
    first, second = PredictionLog(url), PredictionLog(url)
    salts = {first.salt("2"), second.salt("2")}
    first.close()
    second.close()
    third = PredictionLog(url)
    salts.add(third.salt("2"))
    assert third.salt("3") not in salts
    assert third.salt(None) is None
    third.close()
    assert len(salts) == 1
    assert salt_of("a secret", "2") == "a secret/2"
