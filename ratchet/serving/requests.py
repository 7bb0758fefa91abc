"""The checks that every route makes of a request: its token, and a JSON body of limited size."""

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request

DRAIN_FACTOR = 8  # a client that is still sending would not see an answer sent earlier


class BadRequestError(Exception):
    """A request that does not fit: a 422 if a field is to blame, otherwise a 400."""

    def __init__(self, message: str, field: str = "", value: object = None, expected: str = ""):
        super().__init__(message)
        self.field, self.value, self.expected = field, value, expected


def require_admin_token(request: Request, token: str | None) -> None:
    """Refuse every request if no token is set, so that the address alone moves no traffic."""
    if token is None:
        raise HTTPException(
            403, "This route is closed. Set RATCHET_ADMIN_TOKEN for the service to open it"
        )
    require_token(request, token)


def require_token(request: Request, token: str | None) -> None:
    """Compare in constant time. Headers arrive as bytes, which Starlette decodes as Latin-1."""
    if token is None:
        return
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        sent.encode("latin-1"), token.encode()
    ):
        raise HTTPException(
            401,
            "Expected the header 'Authorization: Bearer <token>' with the right token",
            {"WWW-Authenticate": "Bearer"},
        )


async def read_json(request: Request, max_bytes: int) -> bytes:
    """Return the body. No more than `max_bytes` of it are kept in memory."""
    content_type = request.headers.get("content-type", "")
    if content_type != "application/json":
        kind, _, parameters = content_type.partition(";")
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if kind.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
            raise HTTPException(
                415,
                f"The content type is {content_type[:80] or 'missing'!r}; expected application/json"
                " in UTF-8",
            )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "The body is compressed; send it as it is")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        elif size > DRAIN_FACTOR * max_bytes:
            break
    if size > max_bytes:
        raise HTTPException(
            413, f"The body has more than {max_bytes} bytes; send fewer rows in one request"
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)
