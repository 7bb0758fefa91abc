"""JSON answers, and the handlers that turn each kind of exception into one."""

import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.serving.answering import UnavailableError
from ratchet.serving.requests import BadRequestError
from ratchet.serving.scorer import QueueFullError

RETRY = {"Retry-After": "1"}
log = logging.getLogger("ratchet.routes")
Handler = Callable[[Request, Any], Awaitable[Response]]  # the second: an exception of its type


def json_response(content: Any, status: int = 200, headers: Any = None) -> Response:
    return Response(json.dumps(content), status, headers, media_type="application/json")


async def http_error(request: Request, error: HTTPException) -> Response:
    return _refusal(request, error.status_code, {"error": error.detail}, error.headers)


async def bad_request(request: Request, error: BadRequestError) -> Response:
    if not error.field:
        return _refusal(request, 400, {"error": str(error)})
    content = {"field": error.field, "value": _as_json(error.value), "expected": error.expected}
    return _refusal(request, 422, {"error": str(error), **content})


async def refused_by_log(request: Request, error: RefusedError) -> Response:
    return _refusal(request, 422, {"error": str(error)})


async def unavailable(request: Request, error: Exception) -> Response:
    reason = f"{error} {getattr(error, 'cause', '')}".strip()  # the cause may name the database
    log.error("not answered", extra={"path": request.url.path, "reason": reason})
    return _refusal(request, 503, {"error": str(error)}, RETRY)


async def database_error(request: Request, error: SQLAlchemyError) -> Response:
    """The text of the error may name the database's host, so only the service's log has it."""
    log.error("not answered", extra={"path": request.url.path, "reason": str(error)})
    return _refusal(request, 503, {"error": "The prediction log cannot be read now"}, RETRY)


async def client_left(request: Request, _: ClientDisconnect) -> Response:
    return _refusal(request, 400, {"error": "The client left before its request was read"})


async def unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"path": request.url.path})
    return _refusal(request, 500, {"error": "The service failed; its log has the details"})


HANDLERS: dict[type[Exception], Handler] = {
    HTTPException: http_error,
    BadRequestError: bad_request,
    RefusedError: refused_by_log,
    UnavailableError: unavailable,
    QueueFullError: unavailable,
    LogError: unavailable,
    SQLAlchemyError: database_error,
    ClientDisconnect: client_left,
    Exception: unexpected,
}


def _refusal(request: Request, status: int, content: Any, headers: Any = None) -> Response:
    request.state.worker.metrics.refused(status)
    return json_response(content, status, headers)


def _as_json(value: Any) -> Any:
    """Return the value if it is short and JSON can hold it; JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str | int) and len(str(value)) > 80:
        return f"{str(value)[:80]}..."
    if isinstance(value, list | dict):
        name = "an array" if isinstance(value, list) else "an object"
        return f"{name} of {len(value)} values" if value else value
    return value
