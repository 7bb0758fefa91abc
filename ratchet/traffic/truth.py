"""The labels that are sent: those of the rows, or labels that give each arm a chosen accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.traffic.planned_requests import PlannedRequest

REAL = "real"


@dataclass(frozen=True)
class Truth:
    """The source of the labels.

    `accuracy` has an accuracy for arms (A, B) or versions: their labels are drawn so that an answer
    is right with this probability. Answers of other arms and versions get the label of the row.

    If `correlation` is above 0, the answers to one user are right or wrong together more often than
    those to different users: the accuracy of each user is drawn from a Beta distribution, with the
    mean `accuracy` and the intra-class correlation `correlation`.
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
    """Parse accuracies by arm, "A=0.90,B=0.95", or by version, "3=0.90,4=0.95", or "real"."""
    if not 0 <= correlation < 1:
        raise InputError(f"correlation={correlation}: expected a number from 0 to below 1")
    classes = sorted({label for label in labels if label is not None}, key=str)
    if len(classes) < 2:
        raise InputError(
            "The rows to send have fewer than two classes, so no wrong label can be drawn. Choose"
            " other data"
        )
    parts = [] if accuracy == REAL else accuracy.split(",")
    return Truth(dict(_share(part.strip(), accuracy) for part in parts), correlation, classes)


def _share(part: str, accuracy: str) -> tuple[str, float]:
    name, _, share = part.partition("=")
    try:
        if name and 0 <= float(share) <= 1:
            return name.removeprefix("v") if name not in ("A", "B") else name, float(share)
    except ValueError:
        pass
    raise InputError(
        f"accuracy={accuracy}: expected real, accuracies by arm such as A=0.90,B=0.95, or by"
        " version such as 3=0.9"
    )
