"""The true labels: the rows' own, or drawn so that each arm has a given accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.traffic.planned_requests import PlannedRequest

REAL = "real"


@dataclass(frozen=True)
class Truth:
    """`accuracy` by arm (A, B) or by version. All others are judged by the rows' own labels.

    With `correlation` a user's outcomes are correlated: the user's own accuracy is drawn from a
    Beta distribution with that mean and intra-class correlation, at the same quantile in both arms.
    """

    accuracy: dict[str, float]
    correlation: float
    classes: Sequence[Any]

    def label(self, request: PlannedRequest, arm: str, version: str, prediction: Any) -> Any:
        accuracy = self.accuracy.get(version, self.accuracy.get(arm))
        if accuracy is None:
            return request.label
        share = self._accuracy_of_user(accuracy, request.user_draw)
        draw = request.label_draw
        if draw < share:
            return prediction
        wrong = [one for one in self.classes if one != prediction]
        return wrong[int((draw - share) / (1 - share) * len(wrong))]

    def _accuracy_of_user(self, accuracy: float, quantile: float) -> float:
        if self.correlation == 0 or accuracy in (0, 1):
            return accuracy
        from scipy.stats import beta

        weight = (1 - self.correlation) / self.correlation
        return float(beta.ppf(quantile, accuracy * weight, (1 - accuracy) * weight))


def read_truth(accuracy: str, correlation: float, labels: Sequence[Any]) -> Truth:
    """Parse `A=0.90,B=0.95`, or by version `3=0.90,4=0.95`, or `real`."""
    if not 0 <= correlation < 1:
        raise InputError(f"correlation={correlation}: expected a number from 0 to below 1")
    classes = sorted({label for label in labels if label is not None}, key=str)
    if len(classes) < 2:
        raise InputError("These rows have fewer than two classes; no wrong label can be drawn")
    parts = [] if accuracy == REAL else accuracy.split(",")
    return Truth(dict(_share(part.strip(), accuracy) for part in parts), correlation, classes)


def _share(part: str, accuracy: str) -> tuple[str, float]:
    name, _, share = part.partition("=")
    try:
        if name and 0 <= float(share) <= 1:
            return name.removeprefix("v") if name not in ("A", "B") else name, float(share)
    except ValueError:
        pass
    raise InputError(f"accuracy={accuracy}: expected real, or such as A=0.90,B=0.95 or 3=0.9")
