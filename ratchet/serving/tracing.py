"""The ids that connect an answer with the service's own log lines and with the caller's trace."""

import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ratchet.predictions.record import new_request_id

REQUEST_ID = b"x-request-id"
TRACE = b"traceparent"
IS_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII).fullmatch
# W3C Trace Context, version 00: the ids of the trace and of the caller's span
IS_TRACE = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}").fullmatch
_ids: ContextVar[Mapping[str, str] | None] = ContextVar("ids", default=None)


class RequestIds:
    """An application whose answers have the header X-Request-Id: the client's, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ids = _ids_of(scope)
        header = (REQUEST_ID, ids["request_id"].encode())
        _ids.set(ids)  # uvicorn runs each request in a context of its own

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _ids_of(scope: Scope) -> dict[str, str]:
    sent = {name: value for name, value in scope["headers"] if name in (REQUEST_ID, TRACE)}
    own = sent.get(REQUEST_ID, b"")
    ids = {"request_id": own.decode() if IS_ID(own) else new_request_id()}
    if trace := IS_TRACE(sent.get(TRACE, b"")):
        ids["trace_id"], ids["span_id"] = (part.decode() for part in trace.groups())
    return ids


class LogIds(logging.Filter):
    """Adds request_id, trace_id and span_id to what is logged while a request is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (_ids.get() or {}).items():
            setattr(record, name, value)
        return True
