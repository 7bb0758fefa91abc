"""The state of the service: /status, /livez, /readyz, and the page /ab with its numbers."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ratchet.predictions.arm_counts import Counts, VersionPair
from ratchet.serving.admin import split_as_json
from ratchet.serving.replies import json_response
from ratchet.serving.requests import BadRequestError
from ratchet.serving.scorer import Scorer
from ratchet.serving.worker import Worker

PAGE = Path(__file__).with_name("ab.html")
HOURS = 24.0 * 14
SECONDS_FOR_FIRST_COUNTS = 2.0
MAX_HOURS = 24.0 * 366
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
}


async def livez(_: Request) -> Response:
    return json_response({"alive": True})


async def readyz(request: Request) -> Response:
    """Answer 200 if prod is loaded and the log takes a test write."""
    worker: Worker = request.state.worker
    if worker.arms.current is None:
        raise HTTPException(503, "No prod version is loaded")
    if not await worker.log.takes_writes():
        raise HTTPException(503, "The prediction log takes no writes")
    return json_response({"ready": True})


async def status(request: Request) -> Response:
    return json_response(_status(request.state.worker))


async def numbers(request: Request) -> Response:
    worker: Worker = request.state.worker
    content, hours = _status(worker), _hours(request)
    arms = worker.arms.current
    if arms is not None:
        prod, staging = arms.prod.model.version, arms.staging_version
        counts = await _counts(worker, VersionPair(worker.project.model, prod, staging))
        content |= await worker.page_numbers.get(counts, hours)
    return json_response(content)


async def _counts(worker: Worker, pair: VersionPair) -> Counts:
    """Return the latest counts; of a test that has none yet, wait a moment for the first."""
    end = time.monotonic() + SECONDS_FOR_FIRST_COUNTS
    while (counts := worker.counts.latest(pair)) is None:
        if time.monotonic() > end:
            raise HTTPException(503, "The numbers are not counted yet; try again in a moment")
        await asyncio.sleep(0.02)
    return counts


async def page(_: Request) -> Response:
    return Response(PAGE.read_bytes(), media_type="text/html", headers=HEADERS)


def _hours(request: Request) -> float:
    text = request.query_params.get("hours", str(HOURS))
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= MAX_HOURS:
        expected = f"a number of hours above 0, at most {MAX_HOURS:g}"
        raise BadRequestError(f"hours is {text[:80]}; expected {expected}", "hours", text, expected)
    return hours


def _status(worker: Worker) -> dict[str, Any]:
    arms, active = worker.arms.current, worker.arms.active
    return {
        "model": worker.project.model,
        "prod": _version(arms.prod) if arms else None,
        "staging": _version(arms.staging) if arms and arms.staging else None,
        "split": split_as_json(worker.log.split),
        "shadow": worker.project.ab.shadow,
        "refused": dict(active.refused) if active else {},
        "failures": dict(worker.arms.failures),
        "registry": active.registry if active else "not asked yet",
        "log": {"waiting": worker.log.waiting, "journalling": worker.log.is_journalling},
    }


def _version(scorer: Scorer) -> dict[str, str | None]:
    model = scorer.model
    return {
        "version": model.card.version,
        "config": model.card.config,
        "path": model.path,
        "why_not_faster": model.why_not_faster,
    }
