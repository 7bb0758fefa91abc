"""The routes as OpenAPI, with the features, the classes and an example of the model in force."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ratchet.columns import MAX_NUMBER, ColumnType
from ratchet.serving.admin import LATEST
from ratchet.serving.features import MAX_ROWS, MAX_USER_ID
from ratchet.serving.feedback import MAX_REQUEST_ID
from ratchet.serving.health import MAX_HOURS
from ratchet.serving.replies import json_response
from ratchet.serving.worker import Worker

Schema = dict[str, Any]

KINDS: dict[ColumnType, Schema] = {
    "double": {"type": ["number", "null"], "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER},
    "boolean": {"type": ["boolean", "null"]},
    "datetime": {"type": ["string", "null"], "format": "date-time"},
    "string": {"type": ["string", "null"]},
}
CLASSES = {str: "string", int: "integer", bool: "boolean"}
AN_ID = "0193a5e8-7b1c-7abc-8def-0123456789ab"
NO_NUL = "^[^\\x00]*$"
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
SECONDS: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": LATEST}
FAULTS = {
    400: "The body is not JSON",
    401: "The token is missing or wrong",
    403: "Closed: the service has no admin token",
    404: "No request has this id",
    409: "The request has another label",
    413: "The body is too large",
    415: "The content type is not application/json",
    422: "A field is wrong; the answer names it",
    503: "Not answered and not kept; try again after Retry-After seconds",
}
READING_FAULTS = (400, 401, 413, 415, 422, 503)


async def openapi(request: Request) -> Response:
    return json_response(document(request.state.worker))


async def schema(request: Request) -> Response:
    """Answer what BentoML's own clients ask for."""
    schemas = _schemas(request.state.worker)
    more = {"batchable": False, "is_task": False, "output": {"type": "object"}}
    routes = [
        {"name": "predict", "route": "/predict", "input": schemas["Request"]} | more,
        {"name": "feedback", "route": "/feedback", "input": schemas["Feedback"]} | more,
    ]
    return json_response({"name": "ratchet", "type": "service", "routes": routes})


def document(worker: Worker) -> Schema:
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ratchet: {worker.project.model}", "version": "1"},
        "components": {
            "schemas": _schemas(worker),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "paths": _asking(worker) | _administration() | _state(),
    }


def _asking(worker: Worker) -> Schema:
    example, answer = _examples(worker)
    security: list[Any] = [{"token": []}] if worker.settings.predict_token else []
    label = {"request_id": AN_ID, "label": answer.get("prediction", "a class")}
    return {
        "/predict": {
            "post": _operation(
                "Answer one row of one user, or a list of them",
                {200: _json(_one_or_many("Answer"), answer)},
                READING_FAULTS,
                security,
            )
            | _body(_one_or_many("Request"), example)
        },
        "/feedback": {
            "post": _operation(
                "Set the label of a request that was answered earlier, once",
                {
                    200: _json(_ref("Outcomes"), {"request_id": AN_ID, "outcome": "set"}),
                    202: _json(_ref("Outcome"), {"request_id": AN_ID, "outcome": "kept"}),
                },
                (*READING_FAULTS, 404, 409),
                security,
            )
            | _body(_one_or_many("Feedback"), label)
        },
    }


def _administration() -> Schema:
    split = {"ab_split_b": 0.1, "since": 1767225600.0, "by": "configs/project.yaml"}
    answer = {200: _json(_ref("SplitInForce"), split)}
    security: list[Any] = [{"token": []}]
    details = {"type": "string", "enum": ["true", "false"]}
    csv = {200: _text("text/csv", "request_id,...")}
    moment = {"anyOf": [{"type": "string", "format": "date-time"}, SECONDS]}
    window = [_query("since", moment), _query("until", moment), _query("version", TEXT)]
    return {
        "/split": {
            "get": _operation("Return arm B's share of the traffic", answer),
            "put": _operation(
                "Change it on all workers and replicas, within a second",
                answer,
                (*READING_FAULTS, 403),
                security,
            )
            | _body(_ref("Split"), {"ab_split_b": 0.2}),
        },
        "/log.csv": {
            "get": _operation("Return the prediction log", csv, (401, 403, 422, 503), security)
            | {"parameters": [*window, _query("details", details)]}
        },
    }


def _state() -> Schema:
    hours = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_HOURS}
    alive, ready = ({name: {"type": "boolean"}} for name in ("alive", "ready"))
    status = _json(_ref("Status"), {"model": "iris"})
    return {
        "/status": {"get": _operation("Return versions, split, registry and log", {200: status})},
        "/ab": {"get": _operation("Return the page", {200: _text("text/html", "<!doctype html>")})},
        "/ab.json": {
            "get": _operation(
                "Return the numbers of the page",
                {200: _json(_ref("Status"), {"model": "iris", "arms": {}})},
                (422, 503),
            )
            | {"parameters": [_query("hours", hours)]}
        },
        "/metrics": {
            "get": _operation("Return the metrics", {200: _text("text/plain", "# HELP ...")})
        },
        "/livez": {
            "get": _operation("Tell whether it runs", {200: _json(_object(alive), {"alive": True})})
        },
        "/readyz": {
            "get": _operation(
                "Tell whether it can answer", {200: _json(_object(ready), {"ready": True})}, (503,)
            )
        },
    }


def _schemas(worker: Worker) -> Schema:
    arms = worker.arms.current
    columns, classes = arms.prod.model.interface if arms else ((), ("a class",))
    label = {"type": CLASSES[type(classes[0])], "enum": list(classes)}
    no_label = {"type": [label["type"], "null"], "enum": [*classes, None]}
    user_id = {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID, "pattern": NO_NUL}
    request_id = {"type": "string", "maxLength": MAX_REQUEST_ID, "pattern": NO_NUL}
    features = _object({name: KINDS[kind] for name, kind in columns})
    share = {"type": "number", "minimum": 0, "maximum": 1}
    version = {"type": ["object", "null"]}
    outcome = {"enum": ["set", "same", "kept", "unknown", "conflict"]}
    return {
        "Request": _object(
            {"user_id": user_id, "features": features, "label": no_label}, ["user_id", "features"]
        ),
        "Answer": _object(
            {
                "request_id": TEXT,
                "variant": {"enum": ["A", "B"]},
                "model_version": TEXT,
                "prediction": {"type": label["type"]},
                "probabilities": {"type": ["object", "null"], "additionalProperties": NUMBER},
                "fallback": {"type": "boolean"},
            }
        ),
        "Feedback": _object({"request_id": request_id, "label": label}),
        "Outcome": _object(
            {"request_id": TEXT, "outcome": outcome, "error": TEXT}, ["request_id", "outcome"]
        ),
        "Outcomes": {
            "anyOf": [
                _ref("Outcome"),
                _object({"outcomes": {"type": "array", "items": _ref("Outcome")}}),
            ]
        },
        "Split": _object({"ab_split_b": share}),
        "SplitInForce": _object({"ab_split_b": share, "since": NUMBER, "by": TEXT}),
        "Status": {
            "type": "object",
            "properties": {
                "model": TEXT,
                "prod": version,
                "staging": version,
                "split": _ref("SplitInForce"),
                "registry": TEXT,
                "arms": {"type": "object"},
            },
            "required": ["model"],
        },
        "Error": {
            "type": "object",
            "properties": {"error": TEXT, "field": TEXT, "value": {}, "expected": TEXT},
            "required": ["error"],
        },
    }


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": list(properties) if required is None else required,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _one_or_many(name: str) -> Schema:
    many = {"type": "array", "items": _ref(name), "minItems": 1, "maxItems": MAX_ROWS}
    return {"anyOf": [_ref(name), many]}


def _operation(
    summary: str,
    answers: dict[int, Any],
    faults: tuple[int, ...] = (),
    security: list[Any] | None = None,
) -> Schema:
    error = {"application/json": {"schema": _ref("Error")}}
    responses = {str(status): answer for status, answer in answers.items()}
    responses |= {str(s): {"description": FAULTS[s], "content": error} for s in faults}
    operation = {"summary": summary, "responses": responses}
    return operation | ({"security": security} if security else {})


def _json(schema: Schema, example: Any) -> Schema:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": "done", "content": content}


def _text(kind: str, example: str) -> Schema:
    return {"description": "done", "content": {kind: {"schema": TEXT, "example": example}}}


def _body(schema: Schema, example: Any) -> Schema:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _examples(worker: Worker) -> tuple[Schema, Schema]:
    """Return a request that the model in force can answer, and its answer."""
    arms = worker.arms.current
    if arms is None:
        return {"user_id": "user-1", "features": {}}, {}
    model = arms.prod.model
    names = [column.name for column in model.card.columns]
    features = dict(zip(names, model.card.example[0], strict=True))
    prediction, probabilities = model.answers(model.example()[:1])[0]
    return {"user_id": "user-1", "features": features}, {
        "request_id": AN_ID,
        "variant": "A",
        "model_version": model.version,
        "prediction": json.loads(prediction),
        "probabilities": json.loads(probabilities or "null"),
        "fallback": False,
    }
