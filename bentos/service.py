"""The A/B service: `bentoml serve` in a checkout, or `bentoml serve ratchet:latest` for a Bento."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _bentoml_sdk import Service

# Before `bentoml serve ratchet:latest` looks for a Bento it imports a module named `ratchet`. That
# may be another copy of the package than the one in this Bento; this one must be imported instead.
imported = sys.modules.get("ratchet")
if imported and Path(imported.__path__[0]).resolve().parent != Path(__file__).resolve().parents[1]:
    del sys.modules["ratchet"]

from ratchet.serving.packed import read_packed  # noqa: E402
from ratchet.serving.supervising import restart_killed_workers_soon  # noqa: E402

if TYPE_CHECKING:
    from starlette.types import ASGIApp


# Workers use the cores; threads within a model cost more than a row takes. The libraries read these
# variables when they are loaded, so they are set before any of them is.
THREADS = {"OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}
PACKED = read_packed(Path(__file__).parent)
restart_killed_workers_soon()


class RoutedService(Service[Any]):  # type: ignore[misc]
    """A service whose own routes come before BentoML's, which keep /metrics and the page at /.

    Behind BentoML's, each request would pass its tracing, metrics and timeout. The timeout keeps a
    timer and a future of every request for a minute, and Python's garbage collector stops a worker
    for a tenth of a second, again and again, to walk over them.
    """

    def to_asgi(self, is_main: bool = True) -> "ASGIApp":
        os.environ.update(THREADS | os.environ)
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # uvicorn believes no X-Forwarded-For
        from ratchet.serving.routes import routes

        return routes(super().to_asgi(is_main), PACKED)


class AB:
    """prod and staging behind one address."""


service = RoutedService(
    name="ratchet",
    inner=AB,
    config={
        "workers": int(os.environ.get("RATCHET_WORKERS", "1")),
        # A container has to be reached from outside; a laptop must not.
        "http": {"host": "0.0.0.0" if PACKED else "127.0.0.1"},  # noqa: S104
    },
)
