"""The routes, in front of BentoML's own."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ratchet.predictions.commit_queue import LogError, RefusedError
from ratchet.predictions.record import Record
from ratchet.serving import admin
from ratchet.serving import health as overview
from ratchet.serving import openapi as describing
from ratchet.serving.access import DeniedError, require
from ratchet.serving.answering import UnavailableError
from ratchet.serving.features import BadRequestError
from ratchet.serving.feedback import feedback
from ratchet.serving.packed import Packed
from ratchet.serving.replies import NotTakenError, json_response, read_json
from ratchet.serving.worker import Worker, running

log = logging.getLogger("ratchet.routes")
Handler = Callable[[Request, Worker], Awaitable[Response]]


def routes(bentoml_app: Starlette, packed: Packed | None) -> Router:
    """What is not found here is BentoML's."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Router) -> AsyncIterator[None]:
        async with running(packed) as worker, bentoml_app.router.lifespan_context(bentoml_app):
            hold.append(worker)
            yield

    hold: list[Worker] = []

    def route(path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _handled(handler, request, hold[0])

        return Route(path, endpoint, methods=[method])

    return Router(
        [
            route("/predict", "POST", predict),
            route("/feedback", "POST", feedback),
            route("/split", "GET", admin.get_split),
            route("/split", "PUT", admin.put_split),
            route("/log.csv", "GET", admin.log_csv),
            route("/status", "GET", overview.status),
            route("/livez", "GET", overview.livez),
            route("/readyz", "GET", overview.readyz),
            route("/ab", "GET", overview.page),
            route("/ab.json", "GET", overview.numbers),
            route("/docs.json", "GET", describing.openapi),
            route("/schema.json", "GET", describing.schema),
        ],
        default=bentoml_app,
        lifespan=lifespan,
        redirect_slashes=False,
    )


async def predict(request: Request, worker: Worker) -> Response:
    require(request, worker.settings.predict_token)
    body = await read_json(request, worker.settings.most_bytes)
    arms = worker.arms.current
    if arms is None:
        raise UnavailableError(
            "no prod yet; train and gate one: mlflow run . -e train, then evaluate"
        )
    asked, listed = arms.prod.model.inputs.read(body)
    try:
        records = await worker.answering.answer(arms, asked)
    except UnavailableError:
        worker.tallies.prod_failed(len(asked.users))
        raise
    texts = [_reply(record) for record in records]
    return Response(f"[{','.join(texts)}]" if listed else texts[0], media_type="application/json")


def _reply(record: Record) -> str:
    """Prediction and probabilities are JSON already."""
    fallback = "true" if record.fallback else "false"
    return (
        f'{{"request_id":"{record.request_id}","variant":"{record.arm}",'
        f'"model_version":"{record.model_version}","prediction":{record.prediction},'
        f'"probabilities":{record.probabilities or "null"},"fallback":{fallback}}}'
    )


async def _handled(handler: Handler, request: Request, worker: Worker) -> Response:
    status, content = 500, dict[str, Any]()
    try:
        return await handler(request, worker)
    except BadRequestError as fault:
        status = 422 if fault.field else 400
        content = {"field": fault.field, "value": fault.value, "expected": fault.expected}
        content = {"error": str(fault)} | (content if fault.field else {})
    except (NotTakenError, DeniedError) as fault:
        status, content = fault.status, {"error": str(fault)}
    except RefusedError as fault:
        status, content = 422, {"error": str(fault)}
    except (UnavailableError, LogError, SQLAlchemyError) as fault:
        status, content = 503, {"error": str(fault)}
        log.error("not answered", extra={"path": request.url.path, "reason": str(fault)})
    except ClientDisconnect:
        status, content = 400, {"error": "the client left before its request was read"}
    except Exception:
        log.exception("a fault of the service", extra={"path": request.url.path})
        content = {"error": "a fault of the service; its log says more"}
    worker.tallies.refused(status)
    return json_response(content, status)
