"""The routes as OpenAPI, with the features and an example of the model in force."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ratchet.columns import Column, ColumnType
from ratchet.serving.features import LARGEST, LONGEST_USER_ID, MOST_ROWS
from ratchet.serving.replies import json_response
from ratchet.serving.worker import Worker

KINDS: dict[ColumnType, dict[str, Any]] = {
    "double": {"type": ["number", "null"], "minimum": -LARGEST, "maximum": LARGEST},
    "boolean": {"type": ["boolean", "null"]},
    "datetime": {"type": ["string", "null"], "format": "date-time"},
    "string": {"type": ["string", "null"]},
}
CLASSES = {str: "string", int: "integer", bool: "boolean"}
AN_ID = "0193a5e8-7b1c-7abc-8def-0123456789ab"
NO_NUL = "^[^\\x00]*$"


async def openapi(_: Request, worker: Worker) -> Response:
    return json_response(document(worker))


async def schema(_: Request, worker: Worker) -> Response:
    """What BentoML's own clients ask for."""
    parts = _schemas(worker)
    answer = {"type": "object"}
    routes = [
        {"name": "predict", "route": "/predict", "input": parts["Request"], "output": answer},
        {"name": "feedback", "route": "/feedback", "input": parts["Feedback"], "output": answer},
    ]
    more = {"batchable": False, "is_task": False}
    return json_response(
        {"name": "ratchet", "type": "service", "routes": [route | more for route in routes]}
    )


def document(worker: Worker) -> dict[str, Any]:
    example, answer = _examples(worker)
    admin: list[Any] = [{"token": []}]
    predict: list[Any] = [{"token": []}] if worker.settings.predict_token else []
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ratchet: {worker.project.model}", "version": "1"},
        "components": {
            "schemas": _schemas(worker),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "paths": {
            "/predict": {
                "post": _operation(
                    "Answer one row of one user, or a list of them", {200: answer},
                    (400, 401, 413, 415, 422, 503), _either("Request"), example, predict,
                )
            },
            "/feedback": {
                "post": _operation(
                    "Say later what was right: once for each request",
                    {200: {"request_id": AN_ID, "outcome": "set"},
                     202: {"request_id": AN_ID, "outcome": "kept"}},
                    (400, 401, 404, 409, 413, 415, 422, 503), _either("Feedback"),
                    {"request_id": AN_ID, "label": _a_class(worker)}, predict,
                )
            },
            "/split": {
                "get": _operation("The share of traffic that arm B has", {200: _split()}),
                "put": _operation(
                    "Change it, on all workers and replicas within a second", {200: _split()},
                    (400, 401, 403, 413, 415, 422, 503),
                    {"$ref": "#/components/schemas/Split"}, {"ab_split_b": 0.2}, admin,
                ),
            },
            "/log.csv": {"get": _log_csv(admin)},
            "/status": {"get": _operation("Versions, split, registry", {200: {"model": "iris"}})},
            "/ab": {"get": _operation("The page", {200: "<!doctype html>"}, kind="text/html")},
            "/ab.json": {
                "get": _operation("The page's numbers", {200: {"arms": {}}}, (422,))
                | {"parameters": [_query("hours", {"type": "number", "exclusiveMinimum": 0})]}
            },
            "/metrics": {
                "get": _operation("For Prometheus", {200: "# HELP ..."}, kind="text/plain")
            },
            "/livez": {"get": _operation("Whether it runs", {200: {"alive": True}})},
            "/readyz": {
                "get": _operation("Whether it can answer", {200: {"ready": True}}, (503,))
            },
        },
    }  # fmt: skip


def _schemas(worker: Worker) -> dict[str, Any]:
    arms = worker.arms.current
    columns = arms.prod.model.card.columns if arms else ()
    label = {"type": CLASSES[arms.prod.model.class_type] if arms else "string"}
    user_id = {
        "type": "string", "minLength": 1, "maxLength": LONGEST_USER_ID, "pattern": NO_NUL,
    }  # fmt: skip
    features = {name: KINDS[kind] for name, kind in columns}
    return {
        "Request": _object(
            {"user_id": user_id, "features": _object(features), "label": label},
            ["user_id", "features"],
        ),
        "Feedback": _object({"request_id": {"type": "string", "pattern": NO_NUL}, "label": label}),
        "Split": _object({"ab_split_b": {"type": "number", "minimum": 0, "maximum": 1}}),
        "Error": {
            "type": "object",
            "properties": {
                "error": {"type": "string"},
                "field": {"type": "string"},
                "value": {},
                "expected": {"type": "string"},
            },
            "required": ["error"],
        },
    }


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "additionalProperties": False,
        "required": list(properties) if required is None else required,
    }  # fmt: skip


def _either(name: str) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{name}"}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_ROWS}]}


def _operation(
    summary: str, answers: dict[int, Any], faults: tuple[int, ...] = (),
    body: dict[str, Any] | None = None, example: Any = None,
    security: list[Any] | None = None, kind: str = "application/json",
) -> dict[str, Any]:  # fmt: skip
    responses = {
        str(status): {"description": "done", "content": {kind: {"example": answer}}}
        for status, answer in answers.items()
    }
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses |= {str(s): {"description": FAULTS[s], "content": error} for s in faults}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body is not None:
        content = {"application/json": {"schema": body, "example": example}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation | ({"security": security} if security else {})


FAULTS = {
    400: "no JSON", 401: "the token is missing or wrong", 403: "closed: no token is set",
    404: "no such request", 409: "it has another label", 413: "too large",
    415: "no application/json", 422: "a field is wrong, and named", 503: "not answered, not kept",
}  # fmt: skip


def _log_csv(security: list[Any]) -> dict[str, Any]:
    names = ("since", "until", "version")
    return _operation(
        "The prediction log", {200: "request_id,..."}, (401, 403, 422, 503), security=security,
        kind="text/csv",
    ) | {"parameters": [_query(name, {"type": "string"}) for name in names]}  # fmt: skip


def _query(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": kind}


def _split() -> dict[str, Any]:
    return {"ab_split_b": 0.1, "since": 1767225600.0, "by": "configs/project.yaml"}


def _examples(worker: Worker) -> tuple[dict[str, Any], dict[str, Any]]:
    arms = worker.arms.current
    if arms is None:
        return {"user_id": "user-1", "features": {}}, {}
    model = arms.prod.model
    row = model.card.example[0]
    names = [_name(column) for column in model.card.columns]
    prediction, probabilities = model.answers(model.example()[:1])[0]
    import json

    return {"user_id": "user-1", "features": dict(zip(names, row, strict=True))}, {
        "request_id": AN_ID, "variant": "A", "model_version": model.version,
        "prediction": json.loads(prediction),
        "probabilities": json.loads(probabilities or "null"), "fallback": False,
    }  # fmt: skip


def _name(column: Column) -> str:
    return column.name


def _a_class(worker: Worker) -> Any:
    _, answer = _examples(worker)
    return answer.get("prediction", "a class")
