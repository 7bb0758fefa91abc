"""What is right: the row's own label, or a label drawn so that an arm is right as often as said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ratchet.errors import InputError
from ratchet.traffic.habits import Ask

REAL = "real"


@dataclass(frozen=True)
class Truth:
    """`accuracy` by arm (A, B) or by version; who is not named is judged by the rows' own labels.

    With `correlation` a user's requests go together: the user's own accuracy is drawn from a Beta
    of that mean, and of that intra-class correlation, at the same quantile in either arm.
    """

    accuracy: dict[str, float]
    correlation: float
    classes: Sequence[Any]

    def label(self, ask: Ask, arm: str, version: str, prediction: Any) -> Any:
        accuracy = self.accuracy.get(version, self.accuracy.get(arm))
        if accuracy is None:
            return ask.label
        share = self._users_share(accuracy, ask.user_luck)
        if ask.luck < share:
            return prediction
        wrong = [one for one in self.classes if one != prediction]
        return wrong[int((ask.luck - share) / (1 - share) * len(wrong))]

    def _users_share(self, accuracy: float, luck: float) -> float:
        if self.correlation == 0 or accuracy in (0, 1):
            return accuracy
        from scipy.stats import beta

        weight = (1 - self.correlation) / self.correlation
        return float(beta.ppf(luck, accuracy * weight, (1 - accuracy) * weight))


def read_truth(accuracy: str, correlation: float, labels: Sequence[Any]) -> Truth:
    """`A=0.90,B=0.95`, or by version `3=0.90,4=0.95`, or `real`."""
    if not 0 <= correlation < 1:
        raise InputError(f"correlation={correlation}: expected a number from 0 to below 1")
    classes = sorted({label for label in labels if label is not None}, key=str)
    if len(classes) < 2:
        raise InputError("These rows have fewer than two classes; no wrong label can be drawn")
    parts = [] if accuracy == REAL else accuracy.split(",")
    return Truth(dict(_share(part.strip(), accuracy) for part in parts), correlation, classes)


def _share(part: str, accuracy: str) -> tuple[str, float]:
    who, _, share = part.partition("=")
    try:
        if who and 0 <= float(share) <= 1:
            return who.removeprefix("v") if who not in ("A", "B") else who, float(share)
    except ValueError:
        pass
    raise InputError(f"accuracy={accuracy}: expected real, or such as A=0.90,B=0.95 or 3=0.9")
