"""The routes, in front of BentoML's own."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from ratchet.predictions.record import Record
from ratchet.serving import admin, health, openapi
from ratchet.serving.answering import UnavailableError
from ratchet.serving.connections import use_limited_connections
from ratchet.serving.feedback import feedback
from ratchet.serving.packed import Packed
from ratchet.serving.replies import HANDLERS
from ratchet.serving.requests import read_json, require_token
from ratchet.serving.tracing import RequestIds
from ratchet.serving.worker import Worker, running

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(bentoml_app: Starlette, packed: Packed | None) -> ASGIApp:
    """Return the application. It passes paths that are not its own to BentoML's."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[Mapping[str, Worker]]:
        async with running(packed) as worker, bentoml_app.router.lifespan_context(bentoml_app):
            yield {"worker": worker}

    use_limited_connections()
    bentoml_app.add_exception_handler(HTTPException, HANDLERS[HTTPException])
    router = Router(
        [
            _route("/predict", POST=predict),
            _route("/feedback", POST=feedback),
            _route("/split", GET=admin.get_split, PUT=admin.put_split),
            _route("/log.csv", GET=admin.log_csv),
            _route("/status", GET=health.status),
            _route("/livez", GET=health.livez),
            _route("/readyz", GET=health.readyz),
            _route("/ab", GET=health.page),
            _route("/ab.json", GET=health.numbers),
            _route("/docs.json", GET=openapi.openapi),
            _route("/schema.json", GET=openapi.schema),
        ],
        default=bentoml_app,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    return RequestIds(ExceptionMiddleware(router, HANDLERS))


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def _route(path: str, **endpoints: Endpoint) -> Route:
    """Return one route for all methods, so that a 405 is JSON and names those that there are."""
    allowed = {"Allow": ", ".join([*endpoints, *(["HEAD"] if "GET" in endpoints else [])])}

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if method not in endpoints:
            raise HTTPException(405, headers=allowed)
        return await endpoints[method](request)

    return Route(path, endpoint, methods=METHODS)


async def predict(request: Request) -> Response:
    worker: Worker = request.state.worker
    require_token(request, worker.settings.predict_token)
    body = await read_json(request, worker.settings.max_body_bytes)
    arms = worker.arms.current
    if arms is None:
        raise UnavailableError(
            "There is no prod version yet. Train and gate one: mlflow run . -e train, then evaluate"
        )
    inputs = arms.prod.model.inputs
    rows, is_list = inputs.read(body)
    if worker.contract:
        worker.contract.check(inputs.columns, rows, is_list)
    try:
        records = await worker.answering.answer(arms, rows)
    except UnavailableError:
        worker.metrics.prod_failed(len(rows.users))
        raise
    texts = [_reply(record) for record in records]
    return Response(f"[{','.join(texts)}]" if is_list else texts[0], media_type="application/json")


def _reply(record: Record) -> str:
    """Return the record as JSON. Its prediction and probabilities are JSON text already."""
    fallback = "true" if record.fallback else "false"
    return (
        f'{{"request_id":"{record.request_id}","variant":"{record.arm}",'
        f'"model_version":"{record.model_version}","prediction":{record.prediction},'
        f'"probabilities":{record.probabilities or "null"},"fallback":{fallback}}}'
    )
