"""Units, their outcomes and what they prove."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ratchet.errors import InputError
from ratchet.promotion.trial import Evidence, First, Slice
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Floats
from ratchet.statistics.betting import (
    Process,
    Scores,
    betting,
    confidence_interval,
    growth,
    paired,
    randomised,
)
from ratchet.statistics.mcnemar import mcnemar_log_e

POINTS_OF_THE_CURVE = 300


@dataclass(frozen=True)
class Answers:
    """What each version says to each unit; None where the log holds only the one that was given."""

    prod_version: str
    staging_version: str
    prod: "pd.Series[Any] | None" = None
    staging: "pd.Series[Any] | None" = None


@dataclass(frozen=True)
class Units:
    given: Floats  # the outcome of the answer that was given
    arm_b: Bools
    split: Floats
    rows: pd.DataFrame
    answers: Answers

    def both(self, settings: PromotionSettings) -> tuple[Floats, Floats]:
        """The outcomes of prod and of staging, where labels do not depend on the answer."""
        label, costs = self.rows["label"], settings.costs
        if self.answers.prod is None or self.answers.staging is None:
            raise ValueError("both answers are needed")
        return (
            outcome(self.answers.prod, label, costs),
            outcome(self.answers.staging, label, costs),
        )

    @property
    def alike(self) -> Bools | None:
        if self.answers.prod is None or self.answers.staging is None:
            return None
        prod, staging = self.answers.prod.to_numpy(), self.answers.staging.to_numpy()
        return np.asarray(prod == staging, dtype=bool)

    def scores(self, settings: PromotionSettings, here: Bools | None = None) -> Scores:
        here = np.ones(len(self.given), dtype=bool) if here is None else here
        if settings.method == "paired":
            prod, staging = self.both(settings)
            return paired(staging[here], prod[here])
        given, arm_b, split = self.given[here], self.arm_b[here], self.split[here]
        alike = None if self.alike is None else self.alike[here]
        return randomised(given, arm_b, split, alike, settings.method == "answers")

    def of_arm(
        self, staging: bool, settings: PromotionSettings, here: Bools | None = None
    ) -> tuple[Floats, dict[str, dict[str, int]]]:
        """Outcomes, and truth: answer: count."""
        here = np.ones(len(self.given), dtype=bool) if here is None else here
        if settings.method == "paired":
            answer = self.answers.staging if staging else self.answers.prod
            values = self.both(settings)[staging][here]
            return values, _confusion(self.rows["label"][here], answer[here])  # type: ignore[index]
        mine = here & (self.arm_b == staging)
        return self.given[mine], _confusion(self.rows["label"][mine], self.rows["prediction"][mine])

    def slice(self, name: str, here: Bools, settings: PromotionSettings) -> Slice:
        prod, staging = (self.of_arm(arm, settings, here)[0] for arm in (False, True))
        worse = betting(self.scores(settings, here), -settings.margin, settings.mde).reject
        means = [float(values.mean()) if len(values) else None for values in (prod, staging)]
        return Slice(
            name, (len(prod), len(staging)), (means[0], means[1]), float(worse.max(initial=0.0))
        )


def outcome(
    answer: "pd.Series[Any]", label: "pd.Series[Any]", costs: Mapping[str, Mapping[str, float]]
) -> Floats:
    """1 for right and 0 for wrong; with costs, the dearest answer is 0 and the cheapest 1.

    >>> answer, label = pd.Series(["no", "yes", "no"]), pd.Series(["no", "no", "yes"])
    >>> outcome(answer, label, {}).tolist()
    [1.0, 0.0, 0.0]
    >>> outcome(answer, label, {"no": {"yes": 1}, "yes": {"no": 10}}).tolist()
    [1.0, 0.9, 0.0]
    """
    if not costs:
        return np.asarray(answer.to_numpy() == label.to_numpy(), dtype=float)
    known = [cost for row in costs.values() for cost in row.values()]
    low, high = min(0.0, *known), max(0.0, *known)
    codes, distinct = pd.MultiIndex.from_arrays([label, answer]).factorize()
    worth = [(high - _cost(costs, pair[0], pair[1], high)) / (high - low) for pair in distinct]
    values: Floats = np.array(worth, dtype=float)[codes]
    return values


def _cost(
    costs: Mapping[str, Mapping[str, float]], truth: object, answer: object, dearest: float
) -> float:
    if pd.isna(answer):  # type: ignore[call-overload]
        return dearest
    given = costs.get(str(truth), {}).get(str(answer))
    if given is None and truth != answer:
        raise InputError(
            f"promotion.costs has no cost for '{truth}' answered '{answer}'; add it to"
            " configs/project.yaml"
        )
    return given or 0.0


def _confusion(label: "pd.Series[Any]", answer: "pd.Series[Any]") -> dict[str, dict[str, int]]:
    counts = pd.DataFrame({"label": label.astype(str), "answer": answer.astype(str)}).value_counts()
    found: dict[str, dict[str, int]] = {}
    pairs: list[Any] = sorted(counts.to_dict().items())
    for (truth, said), count in pairs:
        found.setdefault(truth, {})[said] = int(count)
    return found


def log_e_worse(values: Floats, arm_b: Bools, split: Floats, null: float, effect: float) -> float:
    """That arm B's mean is below arm A's by more than -null."""
    if (values == values[:1]).all():
        return 0.0
    return float(betting(randomised(values, arm_b, split), null, effect).reject.max(initial=0.0))


def evidence_of(units: Units, users: int, settings: PromotionSettings) -> Evidence:
    limit, null = float(np.log(1 / settings.alpha)), -settings.margin
    effect = settings.margin or settings.mde  # with a margin, no difference is what is looked for
    scores, labelled = units.scores(settings), len(units.given)
    exact = settings.method == "paired" and not settings.margin and not settings.costs
    process = _mcnemar(scores) if exact else betting(scores, null, effect)
    first, first_at = _first_to_reach(process, limit)
    return Evidence(
        method="exact sequential McNemar" if exact else f"betting, {settings.method}",
        log_e_promote=float(process.promote.max(initial=0.0)),
        log_e_reject=float(process.reject.max(initial=0.0)),
        threshold=limit,
        users=users,
        labelled=labelled,
        difference=float(scores.difference.mean()) if labelled else None,
        interval=_interval(scores, effect, settings.alpha, first_at),
        null=null,
        first=first,
        first_at=first_at,
        more_needed=_more_needed(process, growth(scores, null, effect), limit)
        if labelled
        else None,
        curve=_curve(process),
    )


def _interval(
    scores: Scores, effect: float, alpha: float, first_at: int | None
) -> tuple[float, float]:
    """It holds at every moment at once, so what it said when the decision fell still holds."""
    if not len(scores.difference):
        return -1.0, 1.0
    low, high = confidence_interval(scores, effect, alpha)
    if first_at is None:
        return low, high
    then = confidence_interval(scores.first(first_at), effect, alpha)
    both = max(low, then[0]), min(high, then[1])
    return both if both[0] <= both[1] else then


def _mcnemar(scores: Scores) -> Process:
    won = np.cumsum(scores.difference > 0, dtype=np.int64)
    lost = np.cumsum(scores.difference < 0, dtype=np.int64)
    return Process(mcnemar_log_e(won, lost), mcnemar_log_e(lost, won))


def _first_to_reach(process: Process, limit: float) -> tuple[First, int | None]:
    reached = {
        side: int(np.argmax(log_e >= limit)) + 1
        for side, log_e in (("reject", process.reject), ("promote", process.promote))
        if (log_e >= limit).any()
    }
    side = min(reached, key=lambda one: reached[one], default="neither")
    return side, reached.get(side)  # type: ignore[return-value]


def _more_needed(process: Process, growths: tuple[float, float], limit: float) -> int | None:
    """Units until the sooner of the two, if each goes on growing as it would have so far."""
    waits = [
        (limit - float(log_e[-1])) / growth
        for log_e, growth in zip((process.promote, process.reject), growths, strict=True)
        if growth > 0
    ]
    return max(1, round(min(waits))) if waits else None


def _curve(process: Process) -> list[tuple[int, float, float]]:
    n = len(process.promote)
    if not n:
        return []
    peaks = [int(process.promote.argmax()), int(process.reject.argmax())]
    shown = np.unique([*np.linspace(0, n - 1, min(n, POINTS_OF_THE_CURVE)).astype(int), *peaks])
    return [(int(i) + 1, float(process.promote[i]), float(process.reject[i])) for i in shown]
