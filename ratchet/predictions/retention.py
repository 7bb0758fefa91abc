"""Requests older than so many days go, a little at a time: the service writes meanwhile."""

import time

from sqlalchemy import Engine, delete, select

from ratchet.predictions.record import first_request_id
from ratchet.predictions.tables import predictions, refused_labels

ROWS_A_TRANSACTION = 5_000
A_DAY = 24 * 3600.0


def delete_older(engine: Engine, days: float, now: float | None = None) -> int:
    """How many requests went."""
    first_kept = first_request_id((now or time.time()) - days * A_DAY)
    ids = predictions.c.request_id
    some = select(ids).where(ids < first_kept).order_by(ids).limit(ROWS_A_TRANSACTION)
    deleted = 0
    while True:
        with engine.begin() as connection:
            gone = connection.execute(delete(predictions).where(ids.in_(some))).rowcount
        deleted += gone
        if gone < ROWS_A_TRANSACTION:
            break
    with engine.begin() as connection:
        connection.execute(delete(refused_labels).where(refused_labels.c.request_id < first_kept))
    return deleted
