"""A registry in a folder, with the smallest models that the service can serve."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import skops.io
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer


@dataclass
class SmallRegistry:
    """A registry with the four methods that the follower calls, over a folder of MLflow models."""

    at: Path
    model: str = "iris"
    named: dict[str, str] = field(default_factory=dict)

    def aliases(self) -> dict[str, str]:
        return dict(self.named)

    def version(self, number: str) -> Any:
        return SimpleNamespace(number=number, tags={"config": "baseline"})

    def folder(self, version: Any) -> Path:
        return self.at / str(version.number)

    def add(self, number: str, classes: list[str], column: str = "width") -> None:
        rows = np.arange(20.0)[:, None]
        model = LogisticRegression().fit(rows, np.where(rows[:, 0] > 10, *classes))
        same = FunctionTransformer(np.asarray, kw_args={"dtype": "float64"})
        steps = [("same", same), ("fill", SimpleImputer())]
        prepare = ColumnTransformer([("numbers", Pipeline(steps), [column])])
        prepare.fit(pd.DataFrame({column: rows[:, 0]}))
        folder = self.at / number
        folder.mkdir(parents=True)
        skops.io.dump(Pipeline([("prepare", prepare), ("model", model)]), folder / "model.skops")
        inputs = json.dumps([{"name": column, "type": "double"}])
        (folder / "MLmodel").write_text(yaml.safe_dump({"signature": {"inputs": inputs}}))
        example = {"columns": [column], "data": [[1.0], [12.0]]}
        (folder / "input_example.json").write_text(json.dumps(example))
