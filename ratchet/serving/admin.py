"""The split and the log."""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ratchet.predictions.csv_export import csv_pages
from ratchet.predictions.splits import Split
from ratchet.predictions.window import Window
from ratchet.serving.access import require_admin
from ratchet.serving.features import BadRequestError, instant
from ratchet.serving.replies import json_response, read_json
from ratchet.serving.worker import Worker

EXPECTED = "a share between 0 and 1"
A_TIME = "ISO 8601 or seconds since 1970"
LATEST = 2**38  # seconds; what an id can carry


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    ab_split_b: float


async def log_csv(request: Request, worker: Worker) -> Response:
    """?since= and ?until= as ISO 8601 or seconds since 1970, ?version= that answered."""
    require_admin(request, worker.settings.admin_token)
    asked = request.query_params
    of = Window(
        model_version=asked.get("version"),
        since=_time(asked, "since"),
        until=_time(asked, "until"),
    )
    pages = csv_pages(worker.settings.log_url, of, details=asked.get("details") == "true")
    headers = {"Content-Disposition": "attachment; filename=log.csv"}
    return StreamingResponse(pages, media_type="text/csv", headers=headers)


def _time(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name)
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds(text)
    if not 0 <= seconds < LATEST:
        raise BadRequestError(f"{name} is {text}; expected {A_TIME}", name, text, A_TIME)
    return seconds


def _seconds(text: str) -> float:
    try:
        return instant(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return math.nan


async def get_split(_: Request, worker: Worker) -> Response:
    return json_response(_shown(worker.log.split))


async def put_split(request: Request, worker: Worker) -> Response:
    require_admin(request, worker.settings.admin_token)
    body = await read_json(request, worker.settings.most_bytes)
    try:
        wanted = msgspec.json.decode(body, type=Wanted).ab_split_b
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadRequestError(f"ab_split_b: {fault}", "ab_split_b", None, EXPECTED) from None
    if not (math.isfinite(wanted) and 0 <= wanted <= 1):
        said = f"ab_split_b is {wanted}; expected {EXPECTED}"
        raise BadRequestError(said, "ab_split_b", wanted, EXPECTED)
    by = f"PUT /split from {request.client.host if request.client else 'a socket'}"
    return json_response(_shown(await asyncio.to_thread(worker.log.put_split, wanted, by)))


def _shown(split: Split) -> dict[str, object]:
    return {"ab_split_b": split.value, "since": split.time, "by": split.by}
