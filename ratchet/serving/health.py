"""What the service says of itself: /status, /livez, /readyz, and the page /ab with its numbers."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ratchet.predictions.arm_counts import Counts, VersionPair
from ratchet.serving.ab_numbers import ab_numbers
from ratchet.serving.replies import NotTakenError, json_response
from ratchet.serving.worker import Worker

PAGE = Path(__file__).with_name("ab.html")
HOURS = 24 * 14
SECONDS_FOR_FIRST_COUNTS = 2.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'"
}


async def livez(_: Request, __: Worker) -> Response:
    return json_response({"alive": True})


async def readyz(_: Request, worker: Worker) -> Response:
    """Ready: prod is loaded and the log takes writes."""
    if worker.arms.current is None:
        raise NotTakenError(503, "no prod is loaded")
    if not await worker.log.takes_writes():
        raise NotTakenError(503, "the prediction log takes no writes")
    return json_response({"ready": True})


async def status(_: Request, worker: Worker) -> Response:
    return json_response(_status(worker))


async def numbers(request: Request, worker: Worker) -> Response:
    content, hours = _status(worker), _hours(request)
    arms = worker.arms.current
    if arms is not None:
        prod, staging = arms.prod.model.version, arms.staging_version
        counts = await _counts(worker, VersionPair(worker.project.model, prod, staging))
        content |= ab_numbers(counts, hours, worker.project.promotion)
    return json_response(content)


async def _counts(worker: Worker, pair: VersionPair) -> Counts:
    """Return the latest counts; of a test that has none yet, wait a moment for the first."""
    end = time.monotonic() + SECONDS_FOR_FIRST_COUNTS
    while (counts := worker.counts.latest(pair)) is None:
        if time.monotonic() > end:
            raise NotTakenError(503, "The numbers are not counted yet; try again in a moment")
        await asyncio.sleep(0.02)
    return counts


async def page(_: Request, __: Worker) -> Response:
    return Response(PAGE.read_bytes(), media_type="text/html", headers=HEADERS)


def _hours(request: Request) -> float:
    text = request.query_params.get("hours", str(HOURS))
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= 24 * 366:
        raise NotTakenError(422, f"hours is {text!r}; expected a number of hours, up to a year's")
    return hours


def _status(worker: Worker) -> dict[str, Any]:
    arms, roster, split = worker.arms.current, worker.arms.roster, worker.log.split
    return {
        "model": worker.project.model,
        "prod": _version(arms.prod) if arms else None,
        "staging": _version(arms.staging) if arms and arms.staging else None,
        "split": {"ab_split_b": split.value, "since": split.time, "by": split.by},
        "shadow": worker.project.ab.shadow,
        "refused": dict(roster.refused) if roster else {},
        "failures": dict(worker.arms.failures),
        "registry": roster.registry if roster else "not asked yet",
        "log": {"waiting": worker.log.waiting, "journalling": worker.log.is_journalling},
    }


def _version(scorer: Any) -> dict[str, str]:
    card = scorer.model.card
    return {"version": card.version, "config": card.config}
