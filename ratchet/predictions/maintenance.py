"""Background work of the log: periodic tasks, and the deletion of old requests."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, delete, select

from ratchet.predictions.engine import open_engine
from ratchet.predictions.record import first_request_id
from ratchet.predictions.tables import predictions, refused_labels

ROWS_PER_TRANSACTION = 5_000
PAGES_PER_TRANSACTION = 1_000  # of 4 kB
SECONDS_PER_DAY = 24 * 3600.0


class PeriodicTask:
    """A thread that calls a function again and again until it is stopped."""

    def __init__(self, seconds: float, call: Callable[[], object], name: str) -> None:
        self._seconds, self._call = seconds, call
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, but do not wait long: a database that does not answer would block this call."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._call()
            except Exception:  # it is logged, and the next call may succeed
                logging.getLogger(__name__).exception("%s failed", self._thread.name)


def delete_older_in(url: str, days: float) -> None:
    engine = open_engine(url)
    try:
        delete_older(engine, days)
    finally:
        engine.dispose()


def delete_older(engine: Engine, days: float, now: float | None = None) -> int:
    """Delete the requests older than so many days, and return their number.

    Each transaction is small, because the service writes meanwhile.
    """
    first_kept = first_request_id((now or time.time()) - days * SECONDS_PER_DAY)
    ids = predictions.c.request_id
    some = select(ids).where(ids < first_kept).order_by(ids).limit(ROWS_PER_TRANSACTION)
    deleted = 0
    while True:
        with engine.begin() as connection:
            count = connection.execute(delete(predictions).where(ids.in_(some))).rowcount
        deleted += count
        if count < ROWS_PER_TRANSACTION:
            break
    with engine.begin() as connection:
        connection.execute(delete(refused_labels).where(refused_labels.c.request_id < first_kept))
    if deleted and engine.dialect.name == "sqlite":
        _shrink(engine)
    return deleted


def _shrink(engine: Engine) -> None:
    """Return SQLite's free pages to the file system, a few at a time.

    A file that was made before auto_vacuum was set keeps its size, and its pages are used again.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        while (free := _free_pages(driver)) > 0:
            driver.execute(f"PRAGMA incremental_vacuum({PAGES_PER_TRANSACTION})").fetchall()
            if _free_pages(driver) == free:
                return


def _free_pages(driver: Any) -> int:
    return int(driver.execute("PRAGMA freelist_count").fetchone()[0])
