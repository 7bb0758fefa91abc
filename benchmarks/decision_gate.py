"""The offline gate's rate of rejected equal models, the errors of its report, and its time."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
import pandas as pd

from ratchet.evaluation.gate import Contender, judge
from ratchet.model.metrics import LOWER_IS_BETTER, Answers
from ratchet.settings import GateSettings

TESTS = 500
CANDIDATES = 50
METRICS = ("accuracy", "f1", "roc_auc", "log_loss", "brier")
MOST_REJECTED = 0.05
MOST_BIAS = 0.005
MOST_SECONDS = 1.0


def models(rows: int, count: int, rng: np.random.Generator) -> list[Answers]:
    """Return equally good models: the same true logits, each with noise of its own."""
    logits = rng.normal(-0.8, 2, rows)
    truth = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(int)
    answers = []
    for _ in range(count):
        yes = 1 / (1 + np.exp(-logits - rng.normal(0, 0.7, rows)))
        probabilities = np.column_stack([1 - yes, yes])
        answers.append(Answers(truth, probabilities.argmax(1), probabilities, 2))
    return answers


def is_rejected(
    candidate: Answers, prod: Answers, metric: str, is_audit: np.ndarray | None = None
) -> bool:
    rows = len(candidate.truth)
    settings = GateSettings(floor=100.0 if metric in LOWER_IS_BETTER else 0.0)
    verdict = judge(
        Contender("2", candidate),
        Contender("1", prod),
        np.array(["no", "yes"]),
        pd.DataFrame(index=range(rows)),
        metric,  # type: ignore[arg-type]
        settings,
        seed=1,
        is_audit=np.ones(rows, dtype=bool) if is_audit is None else is_audit,
    )
    return not verdict.passed


def equal_row(kind: tuple[int, str]) -> dict[str, object]:
    rows, metric = kind
    rng = np.random.default_rng(rows)
    pairs = (models(rows, 2, rng) for _ in range(TESTS))
    rejected = sum(is_rejected(one, other, metric) for one, other in pairs)
    return _row(f"equal model, {rows} rows, {metric}", rejected / TESTS)


def _row(name: str, rejected: float) -> dict[str, object]:
    holds = rejected <= MOST_REJECTED
    return {"gate": name, "rejected": rejected, "must be": f"<= {MOST_REJECTED:g}", "holds": holds}


def identical_row() -> dict[str, object]:
    """Judge an identical model on 30 rows with three positives: it must never be rejected."""
    rejected = 0
    for seed in range(100):
        yes = np.random.default_rng(seed).random(30)
        probabilities = np.column_stack([1 - yes, yes])
        truth = np.array([1] * 3 + [0] * 27)
        same = Answers(truth, probabilities.argmax(1), probabilities, 2)
        rejected += is_rejected(same, same, "roc_auc")
    return _row("identical model, 3 positives of 30, roc_auc", rejected / 100) | {
        "must be": "0",
        "holds": rejected == 0,
    }


def selected_row(rows: int) -> dict[str, object]:
    """Judge equal models if prod is the best of 50 equal ones, with and without the audit half."""
    halves = np.arange(rows) % 2 == 0
    rng = np.random.default_rng(rows)
    rejected, same_rows, reported = 0, 0, []
    tests = 2 * TESTS
    for _ in range(tests):
        truth = rng.integers(0, 2, rows)
        right = rng.random((CANDIDATES + 1, rows)) < 0.85
        answers = [Answers(truth, np.where(one, truth, 1 - truth), None, 2) for one in right]
        best = 1 + int(right[1:, ~halves].mean(1).argmax())
        reported.append(right[best, halves].mean() - 0.85)
        rejected += is_rejected(answers[0], answers[best], "accuracy", halves)
        best = 1 + int(right[1:].mean(1).argmax())
        same_rows += is_rejected(answers[0], answers[best], "accuracy")
    bias = float(np.mean(reported))
    row = _row(f"equal model, prod the best of 50, {rows} rows", rejected / tests)
    return row | {
        "on the selecting rows": same_rows / tests,
        "reported too high": round(bias, 4),
        "holds": bool(row["holds"]) and abs(bias) <= MOST_BIAS,
    }


def seconds_of_a_gate() -> float:
    """Return the slowest metric's time at 3000 rows."""
    candidate, prod = models(3000, 2, np.random.default_rng(1))
    seconds = []
    for metric in METRICS:
        began = time.process_time()
        is_rejected(candidate, prod, metric)
        seconds.append(time.process_time() - began)
    return max(seconds)


def gate_rows(pool: Executor) -> Sequence[dict[str, object]]:
    kinds = [(rows, metric) for rows in (30, 300) for metric in METRICS]
    equal = list(pool.map(equal_row, kinds))
    return [*equal, identical_row(), *pool.map(selected_row, (300, 3000))]
