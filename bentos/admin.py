"""The split and the log."""

import asyncio
import math

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bentos.access import require_admin
from bentos.replies import json_response, read_json
from bentos.worker import Worker
from ratchet.serving.features import BadRequestError
from ratchet.serving.splits import Split

EXPECTED = "a share between 0 and 1"


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    ab_split_b: float


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
