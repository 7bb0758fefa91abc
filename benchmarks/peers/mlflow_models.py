"""Save two MLflow models in a folder, for the peers that serve them."""

import sys

import mlflow.sklearn
import pandas as pd

from benchmarks.peers.iris import COLUMNS, fitted

example = pd.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=list(COLUMNS))
for arm, C in {"A": 1.0, "B": 0.5}.items():
    model = fitted(C)
    signature = mlflow.models.infer_signature(example, model.predict(example.to_numpy()))
    mlflow.sklearn.save_model(
        model,
        f"{sys.argv[1]}/{arm}",
        signature=signature,
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
