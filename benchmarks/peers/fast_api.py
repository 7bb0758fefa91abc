"""FastAPI around the model: no routing, no log."""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.iris import COLUMNS, fitted


class Features(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Request(BaseModel):
    user_id: str
    features: Features


app = FastAPI()
model = fitted()


@app.post("/predict")
async def predict(request: Request) -> dict[str, object]:
    row = np.array([[getattr(request.features, name) for name in COLUMNS]])
    probabilities = model.predict_proba(row)[0]
    return {"prediction": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
