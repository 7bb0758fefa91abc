"""A typical hand-written A/B router: Flask, two pyfunc models, a line of CSV per request."""

import csv
import hashlib
import os
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
from flask import Flask, jsonify, request
from flask.wrappers import Response

folder = Path(os.environ["PEER_FOLDER"])
models = {arm: mlflow.pyfunc.load_model(str(folder / arm)) for arm in ("A", "B")}
app = Flask(__name__)


@app.post("/predict")
def predict() -> Response:
    content = request.get_json()
    position = int(hashlib.md5(content["user_id"].encode(), usedforsecurity=False).hexdigest(), 16)
    arm = "B" if position % 100 < 20 else "A"
    answer = int(models[arm].predict(pd.DataFrame([content["features"]]))[0])
    with (folder / "log.csv").open("a") as log:
        csv.writer(log).writerow([content["user_id"], arm, *content["features"].values(), answer])
    return jsonify({"variant": arm, "prediction": answer})
