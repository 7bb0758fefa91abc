"""@bentoml.api around the model: no routing, no log."""

import bentoml
import numpy as np

from benchmarks.peers.iris import COLUMNS, fitted


@bentoml.service(workers=1)
class Bare:
    def __init__(self) -> None:
        self.model = fitted()

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, user_id: str, features: dict[str, float]) -> dict[str, object]:  # noqa: ARG002
        row = np.array([[features[name] for name in COLUMNS]])
        probabilities = self.model.predict_proba(row)[0]
        return {"prediction": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
