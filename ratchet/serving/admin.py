"""The routes of the split and of the log."""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ratchet.columns import parse_date
from ratchet.predictions.csv_export import csv_pages
from ratchet.predictions.splits import Split
from ratchet.predictions.window import Window
from ratchet.serving.replies import json_response
from ratchet.serving.requests import BadRequestError, read_json, require_admin_token
from ratchet.serving.worker import Worker

SHARE = "a number between 0 and 1"
TIME = "a time in ISO 8601, or seconds since 1970"
LATEST = 2**38  # seconds; a request id cannot hold a later time


class SplitChange(msgspec.Struct, forbid_unknown_fields=True):
    ab_split_b: float


async def log_csv(request: Request) -> Response:
    """Send the log as CSV: ?since= and ?until= choose by time, ?version= by who answered."""
    worker: Worker = request.state.worker
    require_admin_token(request, worker.settings.admin_token)
    query = request.query_params
    details = query.get("details", "false")
    if details not in ("true", "false"):
        message = f"details is {details[:80]}; expected true or false"
        raise BadRequestError(message, "details", details, "true or false")
    window = Window(
        model_version=query.get("version"),
        since=_time(query, "since"),
        until=_time(query, "until"),
    )
    pages = csv_pages(worker.settings.log_url, window, details=details == "true")
    parts = await worker.export_threads.start(pages)
    headers = {"Content-Disposition": "attachment; filename=log.csv"}
    return StreamingResponse(parts, media_type="text/csv", headers=headers)


def _time(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_of_date(text)
    if not 0 <= seconds < LATEST:
        raise BadRequestError(f"{name} is {text[:80]}; expected {TIME}", name, text, TIME)
    return seconds


def _seconds_of_date(text: str) -> float:
    """Return 0 for a date before 1970: no request is older."""
    try:
        return max(0.0, parse_date(text).replace(tzinfo=UTC).timestamp())
    except OverflowError:  # the year is 1 or 9999, and another one in UTC
        return 0.0 if text.startswith("0") else float(LATEST - 1)
    except ValueError:
        return math.nan


async def get_split(request: Request) -> Response:
    worker: Worker = request.state.worker
    return json_response(split_as_json(worker.log.split))


async def put_split(request: Request) -> Response:
    worker: Worker = request.state.worker
    require_admin_token(request, worker.settings.admin_token)
    body = await read_json(request, worker.settings.max_body_bytes)
    try:
        value = msgspec.json.decode(body, type=SplitChange).ab_split_b
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"ab_split_b: {error}", "ab_split_b", None, SHARE) from None
    if not (math.isfinite(value) and 0 <= value <= 1):
        message = f"ab_split_b is {value}; expected {SHARE}"
        raise BadRequestError(message, "ab_split_b", value, SHARE)
    by = f"PUT /split from {request.client.host if request.client else 'a socket'}"
    split = await asyncio.to_thread(worker.log.put_split, value, by)
    return json_response(split_as_json(split))


def split_as_json(split: Split) -> dict[str, object]:
    return {"ab_split_b": split.value, "since": split.time, "by": split.by}
