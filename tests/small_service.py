"""A small service with the same routes: two rules instead of models, and the real log.

`python -m tests.small_service PORT LOG_URL FAULT`; FAULT none, or what it does wrong every tenth
time: `lose` (answers and keeps nothing), `change` (keeps another prediction than it answered),
`fail` (answers 503).
"""

import itertools
import json
import sys
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ratchet.predictions.assignment import arms_of
from ratchet.predictions.csv_export import csv_pages
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Label, Record, json_text, new_request_id
from ratchet.predictions.window import Window
from ratchet.settings import ABSettings

TOKEN = "a token"


def application(url: str, fault: str) -> Starlette:
    log, count = PredictionLog(url, ABSettings(split=0.5)), itertools.count(1)

    async def predict(request: Request) -> Response:
        body, now = await request.json(), time.time()
        arm = arms_of([body["user_id"]], log.salt("2"), log.split.value)[0]
        border = {"A": 2.5, "B": 2.0}[arm]
        answer = "setosa" if body["features"]["petal_length"] < border else "virginica"
        version, faulty = {"A": "1", "B": "2"}[arm], next(count) % 10 == 0
        record = Record(
            new_request_id(now),
            now,
            body["user_id"],
            arm,
            "iris",
            version,
            "1",
            "2",
            arm,
            log.split.value,
            json_text(body["features"]),
            json_text(answer),
            None,
            1.0,
        )
        if faulty and fault == "fail":
            return JSONResponse({"error": "no"}, 503)
        if faulty and fault == "change":
            record = record._replace(prediction='"versicolor"')
        if not (faulty and fault == "lose"):
            await log.append([record])
        reply = {"request_id": record.request_id, "variant": arm, "model_version": version}
        return JSONResponse(reply | {"prediction": answer, "probabilities": None})

    async def feedback(request: Request) -> Response:
        entries = await request.json()
        labels = [
            Label(one["request_id"], json.dumps(one["label"]), time.time()) for one in entries
        ]
        outcomes = await log.label(labels)
        pairs = zip(labels, outcomes, strict=True)
        return JSONResponse(
            {
                "outcomes": [
                    {"request_id": one.request_id, "outcome": out.outcome} for one, out in pairs
                ]
            }
        )

    async def split(_: Request) -> Response:
        return JSONResponse({"ab_split_b": log.split.value})

    async def log_csv(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "token"}, 401)
        since = float(request.query_params["since"])
        return StreamingResponse(csv_pages(url, Window(since=since)), media_type="text/csv")

    return Starlette(
        routes=[
            Route("/predict", predict, methods=["POST"]),
            Route("/feedback", feedback, methods=["POST"]),
            Route("/split", split),
            Route("/log.csv", log_csv),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2], sys.argv[3]), port=int(sys.argv[1]), log_level="warning")
