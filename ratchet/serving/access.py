"""Who may ask. Tokens are compared in constant time and appear in no log."""

import hmac

from starlette.requests import Request


class DeniedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def require_admin(request: Request, token: str | None) -> None:
    """Closed where no token is set: an address found by chance must not move traffic."""
    if token is None:
        raise DeniedError(403, "closed: set RATCHET_ADMIN_TOKEN for the service to open this route")
    require(request, token)


def require(request: Request, token: str | None) -> None:
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        raise DeniedError(
            401, "expected the header 'Authorization: Bearer <token>' with the right token"
        )
