"""Bodies in and out."""

import json
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


class NotTakenError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_json(request: Request, most_bytes: int) -> bytes:
    """The body, unread where its type or its length is wrong."""
    kind = request.headers.get("content-type", "")
    if kind != "application/json" and kind.split(";")[0].strip().lower() != "application/json":
        raise NotTakenError(415, f"content type {kind or 'missing'!r}; expected application/json")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most_bytes:
        raise _too_large(most_bytes)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most_bytes: int) -> NotTakenError:
    return NotTakenError(
        413, f"the body has more than {most_bytes} bytes; send fewer rows a request"
    )


def json_response(content: Any, status: int = 200) -> Response:
    text = json.dumps(_finite(content), ensure_ascii=True)
    return Response(text, status_code=status, media_type="application/json")


def _finite(value: Any) -> Any:
    """A value that was refused is shown as it came, and JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value
