"""POST /feedback: what was right, later."""

import time
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ratchet.predictions.record import Label, LabelOutcome, json_text
from ratchet.serving.access import require
from ratchet.serving.features import A_CLASS, MOST_ROWS, BadRequestError, Class
from ratchet.serving.replies import NotTakenError, json_response, read_json
from ratchet.serving.worker import Worker

STATUS = {"set": 200, "same": 200, "kept": 202, "unknown": 404, "conflict": 409}
SAID = {
    "unknown": "no request has this request_id",
    "conflict": "the request has another label, which stays; yours is on record beside it",
}


class Given(msgspec.Struct, forbid_unknown_fields=True):
    request_id: str
    label: Class


decode = msgspec.json.Decoder(Given | list[Given]).decode


async def feedback(request: Request, worker: Worker) -> Response:
    require(request, worker.settings.predict_token)
    given = _read(await read_json(request, worker.settings.most_bytes))
    listed = isinstance(given, list)
    rows = given if isinstance(given, list) else [given]
    _check_classes(rows, worker)
    now = time.time()
    labels = [Label(one.request_id, json_text(one.label), now) for one in rows]
    results = await worker.log.label(labels)
    worker.tallies.labelled(results)
    replies = [_reply(one.request_id, r.outcome) for one, r in zip(rows, results, strict=True)]
    if listed:
        return json_response({"outcomes": replies})
    return json_response(replies[0], STATUS[results[0].outcome])


def _read(body: bytes) -> Given | list[Given]:
    try:
        given: Given | list[Given] = decode(body)
    except msgspec.ValidationError as fault:
        field = str(fault).rpartition("`$")[2].rstrip("`").lstrip(".") or "body"
        raise BadRequestError(f"{field}: {fault}", field, None, "request_id and label") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadRequestError(f"The body is no JSON: {fault}") from None
    if isinstance(given, list) and not 0 < len(given) <= MOST_ROWS:
        raise NotTakenError(422, f"{len(given)} labels; expected 1 to {MOST_ROWS} in one request")
    return given


def _check_classes(rows: Sequence[Given], worker: Worker) -> None:
    if worker.arms.current is None:
        return
    wanted = worker.arms.current.prod.model.class_type
    for one in rows:
        if type(one.label) is not wanted:
            said = f"label is {json_text(one.label)}; expected {A_CLASS[wanted]}"
            raise BadRequestError(said, "label", one.label, A_CLASS[wanted])
        if "\0" in one.request_id or (isinstance(one.label, str) and "\0" in one.label):
            raise BadRequestError("a text holds NUL", "label", one.label, "a text without NUL")


def _reply(request_id: str, outcome: LabelOutcome) -> dict[str, str]:
    reply = {"request_id": request_id, "outcome": outcome}
    return reply | ({"error": SAID[outcome]} if outcome in SAID else {})
