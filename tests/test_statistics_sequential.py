import numpy as np
import pytest
from scipy.integrate import quad

from ratchet.statistics.betting import (
    BETS,
    betting,
    confidence_interval,
    growth,
    paired,
    randomised,
)
from ratchet.statistics.intervals import mean_interval
from ratchet.statistics.mcnemar import mcnemar_log_e
from ratchet.statistics.sample_ratio import sample_ratio_log_e


def played(
    n: int, prod: float, staging: float, split: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    arm_b = rng.random(n) < split
    right = rng.random(n) < np.where(arm_b, staging, prod)
    return right.astype(float), arm_b, np.broadcast_to(split, (n,)).astype(float)


def by_hand(
    outcome: np.ndarray, arm_b: np.ndarray, split: np.ndarray, null: float, effect: float, sign: int
) -> float:
    """Compute the formula for one unit at a time, with plain numbers."""
    total, count, spread = 1.0, 2.0, 0.5
    wealth = [weight for _, weight in BETS]
    for y, b, pi in zip(outcome, arm_b, split, strict=True):
        h, v = total / count, spread / count / (pi * (1 - pi))
        phi = (y - h) * (1 / pi if b else -1 / (1 - pi))
        if sign > 0:
            gain, worst = phi - null, null + max(h / pi, (1 - h) / (1 - pi))
        else:
            gain, worst = null - phi, max((1 - h) / pi, h / (1 - pi)) - null
        for k, (size, _) in enumerate(BETS):
            wealth[k] *= 1 + min(size * effect / v, 0.8 / worst) * gain
        total, count, spread = total + y, count + 1, spread + (y - h) ** 2
    return float(np.log(sum(wealth)))


@pytest.mark.parametrize("null", [0.0, -0.02])
def test_the_vectorised_process_equals_the_formula_for_each_unit(null: float):
    split = np.where(np.arange(400) < 200, 0.5, 0.1)
    data = played(400, 0.8, 0.9, split, seed=3)
    process = betting(randomised(*data), null, 0.05)
    assert process.promote[-1] == pytest.approx(by_hand(*data, null, 0.05, 1))
    assert process.reject[-1] == pytest.approx(by_hand(*data, null, 0.05, -1))


def test_many_tests_at_once_are_the_same_as_one_by_one():
    right, arm_b, split = (np.reshape(part, (4, 250)) for part in played(1000, 0.9, 0.9, 0.3, 1))
    together = betting(randomised(right, arm_b, split), 0.0, 0.05)
    for i in range(4):
        alone = betting(randomised(right[i], arm_b[i], split[i]), 0.0, 0.05)
        assert np.allclose(together.promote[i], alone.promote)


def test_the_rejection_mirrors_the_promotion():
    right, arm_b, split = played(500, 0.9, 0.8, 0.5, seed=4)
    there = betting(randomised(right, arm_b, split), 0.0, 0.05)
    back = betting(randomised(right, ~arm_b, split), 0.0, 0.05)
    assert np.allclose(there.promote, back.reject)
    assert np.allclose(there.reject, back.promote)


def test_later_units_do_not_change_the_evidence_of_earlier_ones():
    right, arm_b, split = played(500, 0.9, 0.95, 0.5, seed=5)
    whole = betting(randomised(right, arm_b, split), 0.0, 0.05)
    begun = betting(randomised(right[:200], arm_b[:200], split[:200]), 0.0, 0.05)
    assert np.allclose(whole.promote[:200], begun.promote)


def test_e_values_average_at_most_one_when_staging_is_no_better():
    """The mean of a test martingale is one with any seed; that of a supermartingale is less."""
    shape, rng = (4000, 60), np.random.default_rng(6)
    for prod, staging, most in ((0.7, 0.7, 1.08), (0.7, 0.6, 0.9)):
        split = np.where(np.arange(60) < 30, 0.5, 0.8) * np.ones(shape)
        arm_b = rng.random(shape) < split
        right = (rng.random(shape) < np.where(arm_b, staging, prod)).astype(float)
        last = betting(randomised(right, arm_b, split), 0.0, 0.1).promote[:, -1]
        assert np.exp(last).mean() <= most


def test_a_split_that_changes_every_hour_never_makes_equal_models_differ():
    tests, n, rng = 400, 3000, np.random.default_rng(7)
    split = np.repeat(rng.choice([0.1, 0.3, 0.5, 0.9], n // 100), 100) * np.ones((tests, n))
    right = (rng.random((tests, n)) < 0.9).astype(float)
    process = betting(randomised(right, rng.random((tests, n)) < split, split), 0.0, 0.05)
    for side in (process.promote, process.reject):
        assert (side.max(-1) >= np.log(20)).mean() <= 0.05


def test_an_equal_model_is_proved_not_worse_if_there_is_a_margin():
    data = played(5000, 0.9, 0.9, 0.5, seed=8)
    assert betting(randomised(*data), -0.05, 0.05).promote.max() >= np.log(20)
    assert betting(randomised(*data), 0.0, 0.05).promote.max() < np.log(20)


def test_outcomes_between_0_and_1_are_compared():
    rng = np.random.default_rng(9)
    arm_b, split = rng.random(3000) < 0.5, np.full(3000, 0.5)
    worth = np.where(rng.random(3000) < np.where(arm_b, 0.9, 0.8), 1.0, 0.6)
    process = betting(randomised(worth, arm_b, split), 0.0, 0.05)
    assert process.promote.max() >= np.log(20)
    assert process.reject.max() < np.log(20)


def test_equal_answers_of_both_versions_are_no_evidence():
    right, arm_b, split = played(300, 0.9, 0.9, 0.5, seed=10)
    alike = np.ones(300, dtype=bool)
    process = betting(randomised(right, arm_b, split, alike.astype(int), certain=alike), 0.0, 0.05)
    assert np.allclose(process.promote, 0)
    assert np.allclose(process.reject, 0)


def test_a_test_with_logged_answers_of_both_versions_needs_a_third_of_the_requests():
    rng = np.random.default_rng(11)
    drawn, arm_b = rng.random((100, 3000)), rng.random((100, 3000)) < 0.5
    right = np.where(arm_b, drawn < 0.95, (drawn < 0.88) | (drawn > 0.98)).astype(float)
    alike = (drawn < 0.88) | ((drawn > 0.95) & (drawn < 0.98))
    split = np.full(right.shape, 0.5)
    firsts = [
        np.argmax(betting(scores, 0.0, 0.05).promote >= np.log(20), -1).mean()
        for scores in (
            randomised(right, arm_b, split),
            randomised(right, arm_b, split, alike.astype(int), certain=alike),
        )
    ]
    assert firsts[1] < 0.45 * firsts[0]


def of_strata(tests: int, n: int, staging: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return tests with units of three groups, in which prod is right on .6, .95 and .999."""
    rng = np.random.default_rng(seed)
    group, arm_b = rng.integers(0, 3, (tests, n)), rng.random((tests, n)) < 0.5
    chance = np.array([0.6, 0.95, 0.999])[group]
    chance = np.where(arm_b, chance + (1 - chance) * staging, chance)
    right = (rng.random((tests, n)) < chance).astype(float)
    return right, arm_b, np.full((tests, n), 0.5), group


def test_a_group_that_is_known_before_the_assignment_saves_a_tenth_of_the_users_and_more():
    *data, group = of_strata(200, 3000, staging=0.4, seed=12)
    firsts = [
        np.argmax(betting(randomised(*data, stratum=one), 0.0, 0.05).promote >= np.log(20), -1)
        for one in (None, group)
    ]
    assert firsts[1].mean() < 0.9 * firsts[0].mean()


def test_e_values_of_groups_average_at_most_one_when_staging_is_no_better():
    *data, group = of_strata(3000, 150, staging=0.0, seed=13)
    process = betting(randomised(*data, stratum=group), 0.0, 0.1)
    for last in (np.exp(process.promote[:, -1]), np.exp(process.reject[:, -1])):
        assert last.mean() < 1 + 2.5 * last.std() / np.sqrt(3000)


def test_the_mean_of_a_group_starts_at_the_mean_of_all_earlier_units():
    right, arm_b, split = np.array([1.0, 0, 1, 1]), np.ones(4, dtype=bool), np.full(4, 0.5)
    scores = randomised(right, arm_b, split, np.array([0, 0, 1, 0]))
    h = [0.5, (2 * (2 / 3) + 1) / 3, 0.5, (2 * 0.6 + 1) / 4]  # of all: 1/2, 2/3, 2/4, 3/5
    assert scores.difference == pytest.approx(2 * (right - h))


def test_the_sequential_mcnemar_test_equals_its_integral():
    b, c = 14, 5
    uniform = quad(lambda q: 2 * (2 * q) ** b * (2 - 2 * q) ** c, 0.5, 1)[0]
    points = [(2 * q) ** b * (2 - 2 * q) ** c for q in (0.66, 0.8)]
    expected = 0.05 * uniform + 0.475 * sum(points)
    assert float(np.exp(mcnemar_log_e(b, c))) == pytest.approx(expected)


def test_the_sequential_mcnemar_test_stays_finite_at_a_million():
    assert float(mcnemar_log_e(600_000, 400_000)) == pytest.approx(17_681.5, rel=0.2)
    assert float(mcnemar_log_e(0, 1_000_000)) < -20
    assert float(mcnemar_log_e(0, 0)) == pytest.approx(0)


def test_the_sample_ratio_is_a_product_of_predictions():
    arm_b = np.random.default_rng(12).random(200) < 0.4
    products = []
    for spread in (10.0, 1000.0):
        product, seen = 1.0, [spread * 0.7, spread * 0.3]
        for b in arm_b.astype(int):
            product *= seen[b] / sum(seen) / (0.3 if b else 0.7)
            seen[b] += 1
        products.append(product)
    log_e = float(sample_ratio_log_e(int(arm_b.sum()), 200, 0.3))
    assert log_e == pytest.approx(np.log(np.mean(products)))


def test_an_interval_of_a_mean_covers_it_at_every_look_at_once():
    right = np.random.default_rng(13).random((300, 400)) < 0.85
    totals = np.cumsum(right, -1)
    looks = range(19, 400, 20)
    missed = 0
    for total in totals:
        ends = [mean_interval(float(total[i]), i + 1, 0.05) for i in looks]
        missed += any(not low <= 0.85 <= high for low, high in ends)
    assert missed / 300 <= 0.05


def test_the_limits_of_the_interval_are_where_the_evidence_reaches_its_threshold():
    data = played(4000, 0.85, 0.95, 0.5, seed=14)
    scores = randomised(*data)
    low, high = confidence_interval(scores, 0.05, 0.05)
    assert low < 0.1 < high
    assert betting(scores, low - 0.002, 0.05).promote[-1] >= np.log(20)
    assert betting(scores, low + 0.002, 0.05).promote[-1] < np.log(20)
    assert betting(scores, high + 0.002, 0.05).reject[-1] >= np.log(20)


def test_one_unit_alone_is_almost_no_evidence():
    scores = randomised(np.array([1.0]), np.array([True]), np.array([0.5]))
    assert confidence_interval(scores, 0.05, 0.05) == pytest.approx((-1, 1), abs=0.01)
    assert paired(np.array([1.0]), np.array([1.0])).difference.tolist() == [0.0]


def test_the_forecast_is_close_to_the_real_duration():
    right, arm_b, split = played(400, 0.9, 0.95, 0.5, seed=15)
    scores = randomised(right, arm_b, split)
    up, down = growth(scores, 0.0, 0.05)
    assert up > 0 > down or down > 0 > up
