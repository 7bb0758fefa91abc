"""The A/B service: `bentoml serve` in a checkout, or of the Bento that `package` leaves."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _bentoml_sdk import Service

from ratchet.serving.packed import read_packed

if TYPE_CHECKING:
    from starlette.types import ASGIApp


PACKED = read_packed(Path(__file__).parent)


class RoutedService(Service[Any]):  # type: ignore[misc]
    """Our routes stand before BentoML's, which keep /metrics and the page at /.

    Behind them each request would pass BentoML's tracing, metrics and time-out. The last keeps a
    timer and a future of every request for a minute; walking over those, Python's garbage
    collector stops a worker for a tenth of a second, again and again.
    """

    def to_asgi(self, is_main: bool = True) -> "ASGIApp":
        from ratchet.serving.routes import routes

        return routes(super().to_asgi(is_main), PACKED)


class AB:
    """prod and staging behind one address."""


service = RoutedService(
    name="ratchet",
    inner=AB,
    config={
        "workers": int(os.environ.get("RATCHET_WORKERS", "1")),
        # A container is reached from outside; a laptop is not.
        "http": {"host": "0.0.0.0" if PACKED else "127.0.0.1"},  # noqa: S104
    },
)
