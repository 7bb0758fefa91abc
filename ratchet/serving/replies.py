"""Bodies in and out."""

import json
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

DRAINED = 8  # times the limit: who still sends when the answer comes would not see it


class NotTakenError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def read_json(request: Request, most_bytes: int) -> bytes:
    """The body. Of one that is too large no more is kept than the limit."""
    kind = request.headers.get("content-type", "")
    if kind != "application/json" and kind.split(";")[0].strip().lower() != "application/json":
        raise NotTakenError(415, f"content type {kind or 'missing'!r}; expected application/json")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= most_bytes:
            parts.append(part)
        elif size > DRAINED * most_bytes:
            break
    if size > most_bytes:
        said = f"the body has more than {most_bytes} bytes; send fewer rows a request"
        raise NotTakenError(413, said)
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
