"""Units with their outcomes: the data of the tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ratchet.errors import InputError
from ratchet.promotion.requests import Grouped, Requests
from ratchet.settings import PromotionSettings
from ratchet.statistics.arrays import Bools, Codes, Floats
from ratchet.statistics.betting import Scores, paired, randomised

# Fixed bounds of the strata of prod's confidence: bounds taken from the data would move from look
# to look.
CONFIDENCE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Answers:
    """Each version's answers, indexed by the row of the log; None if only one of them is known."""

    prod_version: str
    staging_version: str
    prod: "pd.Series[Any] | None" = None
    staging: "pd.Series[Any] | None" = None
    confidence: "pd.Series[Any] | None" = None  # the largest probability that prod gives


@dataclass(frozen=True)
class Units:
    outcome: Floats  # of the answers that were given, in [0, 1]
    arm_b: Bools
    split: Floats
    prod: Floats | None = None  # outcome of prod's answers, if both versions' are known
    staging: Floats | None = None
    same_answer: Bools | None = None
    stratum: Codes | None = None  # a group that is known before the assignment

    def where(self, chosen: Bools) -> "Units":
        parts = (self.prod, self.staging, self.same_answer, self.stratum)
        optional: list[Any] = [None if part is None else part[chosen] for part in parts]
        return Units(self.outcome[chosen], self.arm_b[chosen], self.split[chosen], *optional)

    def scores(self, settings: PromotionSettings) -> Scores:
        if settings.method == "paired":
            prod, staging = self.of_both()
            return paired(staging, prod)
        certain = self.same_answer if settings.method == "answers" else None
        return randomised(self.outcome, self.arm_b, self.split, self.stratum, certain)

    def of_both(self) -> tuple[Floats, Floats]:
        if self.prod is None or self.staging is None:
            raise ValueError("this method needs the answers of both versions")
        return self.prod, self.staging

    def of_arm(self, staging: bool, settings: PromotionSettings) -> Floats:
        if settings.method == "paired":
            prod, both_staging = self.of_both()
            return both_staging if staging else prod
        return np.asarray(self.outcome[self.arm_b == staging])


def labelled_units(requests: Requests, answers: Answers, settings: PromotionSettings) -> Units:
    """Return the units that have a label."""
    group = requests.labelled
    return _units(requests, group, _outcome_of_rows(requests, group, settings), answers, settings)


def all_units(requests: Requests, answers: Answers, settings: PromotionSettings) -> Units:
    """Return all units that are old enough; a request without a label counts as a wrong answer."""
    group = requests.due
    is_right = _outcome_of_rows(requests, group, settings)
    values = np.where(requests.has_label[group.rows], is_right, 0.0)
    return _units(requests, group, values, answers, settings)


def _outcome_of_rows(requests: Requests, group: Grouped, settings: PromotionSettings) -> Floats:
    rows = requests.log.iloc[group.rows]
    has_label = requests.has_label[group.rows]
    values = np.zeros(len(rows))
    labelled = rows[has_label]
    values[has_label] = outcome(labelled["prediction"], labelled["label"], settings.costs)
    if settings.method == "ab":  # after a promotion no other version would answer if this one fails
        values = np.where(requests.failed[group.rows], 0.0, values)
    return values


def _units(
    requests: Requests,
    group: Grouped,
    values: Floats,
    answers: Answers,
    settings: PromotionSettings,
) -> Units:
    first = group.first_rows
    units = Units(
        group.mean(values),
        requests.arm_b[first],
        requests.split[first],
        stratum=_strata(requests, first, answers, settings),
    )
    if answers.prod is None or answers.staging is None:
        return units
    prod, staging = answers.prod.reindex(group.rows), answers.staging.reindex(group.rows)
    differs = np.asarray(prod.to_numpy() != staging.to_numpy(), dtype=float)
    label = requests.log["label"].iloc[group.rows]
    is_known = requests.has_label[group.rows]
    both = [np.zeros(len(group.rows)) for _ in range(2)]
    for value, answer in zip(both, (prod, staging), strict=True):
        value[is_known] = outcome(answer[is_known], label[is_known], settings.costs)
    return replace(
        units,
        prod=group.mean(both[0]),
        staging=group.mean(both[1]),
        same_answer=group.mean(differs) == 0,
    )


def _strata(
    requests: Requests, first: Codes, answers: Answers, settings: PromotionSettings
) -> Codes | None:
    """Return a group per unit: if both versions agree, and how confident prod is.

    Only the user's first request counts. Later ones may depend on the answers that the user got,
    so they are not known before the assignment.
    """
    if answers.prod is None or answers.staging is None:
        return None
    rows = first if settings.unit == "request" else requests.first[requests.user[first]]
    prod, staging = answers.prod.reindex(rows), answers.staging.reindex(rows)
    codes = np.asarray(prod.to_numpy() == staging.to_numpy(), dtype=int)
    if answers.confidence is not None:
        confidence = answers.confidence.reindex(rows).to_numpy(dtype=float)
        codes += 2 * np.searchsorted(CONFIDENCE, confidence)
    return codes


def outcome(
    answer: "pd.Series[Any]", label: "pd.Series[Any]", costs: Mapping[str, Mapping[str, float]]
) -> Floats:
    """Return 1 for right and 0 for wrong; with costs, 1 for the cheapest and 0 for the dearest.

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
    cost = costs.get(str(truth), {}).get(str(answer))
    if cost is None and truth != answer:
        raise InputError(
            f"promotion.costs has no cost for '{truth}' answered '{answer}'; add it to"
            " configs/project.yaml"
        )
    return cost or 0.0
