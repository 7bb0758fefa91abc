"""POST /feedback: the label of a request that was answered earlier."""

import time
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ratchet.predictions.record import Label, LabelOutcome, json_text
from ratchet.serving.features import MAX_ROWS, MAX_VALUE, Class
from ratchet.serving.replies import json_response
from ratchet.serving.requests import BadRequestError, read_json, require_token
from ratchet.serving.worker import Worker

MAX_REQUEST_ID = 64  # characters
STATUS = {"set": 200, "same": 200, "kept": 202, "unknown": 404, "conflict": 409}
ERRORS = {
    "unknown": "No request has this request_id",
    "conflict": "The request has another label already, which stays; yours is kept on record",
}


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    label: Class


decode = msgspec.json.Decoder(Feedback | list[Feedback]).decode


async def feedback(request: Request) -> Response:
    worker: Worker = request.state.worker
    require_token(request, worker.settings.predict_token)
    content = _read(await read_json(request, worker.settings.max_body_bytes))
    rows = content if isinstance(content, list) else [content]
    _check_labels(rows, worker)
    now = time.time()
    labels = [Label(one.request_id, json_text(one.label), now) for one in rows]
    results = await worker.log.label(labels)
    worker.metrics.labelled(results)
    replies = [_reply(one.request_id, r.outcome) for one, r in zip(rows, results, strict=True)]
    if isinstance(content, list):
        return json_response({"outcomes": replies})
    return json_response(replies[0], STATUS[results[0].outcome])


def _read(body: bytes) -> Feedback | list[Feedback]:
    try:
        content: Feedback | list[Feedback] = decode(body)
    except msgspec.ValidationError as error:
        field = str(error).rpartition("`$")[2].rstrip("`").lstrip(".") or "body"
        message, expected = f"{field}: {error}"[:300], "request_id and label"
        raise BadRequestError(message, field[:MAX_VALUE], None, expected) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not JSON: {error}") from None
    if isinstance(content, list) and not 0 < len(content) <= MAX_ROWS:
        expected = f"1 to {MAX_ROWS} labels in one request"
        message = f"The body has {len(content)} labels; expected {expected}"
        raise BadRequestError(message, "body", len(content), expected)
    return content


def _check_labels(rows: Sequence[Feedback], worker: Worker) -> None:
    for row in rows:
        if "\0" in row.request_id or len(row.request_id) > MAX_REQUEST_ID:
            expected = "the request_id of an answer"
            message = f"request_id is not {expected}"
            raise BadRequestError(message, "request_id", row.request_id, expected)
        if worker.arms.current:
            worker.arms.current.prod.model.inputs.check_label(row.label, "label")


def _reply(request_id: str, outcome: LabelOutcome) -> dict[str, str]:
    reply = {"request_id": request_id, "outcome": outcome}
    return reply | ({"error": ERRORS[outcome]} if outcome in ERRORS else {})
