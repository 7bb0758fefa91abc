"""The share of traffic that arm B has: every change on record, the newest in force."""

import threading
import time
from typing import NamedTuple

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ratchet.serving.group_commit import LogError
from ratchet.serving.tables import insert_if_new, splits

SECONDS_BETWEEN_LOOKS = 0.5


class Split(NamedTuple):
    time: float
    value: float
    by: str


class Splits:
    """`current` is what all workers and replicas go by, half a second old at most."""

    def __init__(self, engine: Engine, default: float) -> None:
        self._engine = engine
        self._set_default(default)
        self._closed = threading.Event()
        self.current = self._newest()
        threading.Thread(target=self._follow, name="split", daemon=True).start()

    def put(self, value: float, by: str) -> Split:
        if not 0 <= value <= 1:
            raise ValueError(f"ab_split_b={value}: expected a share between 0 and 1")
        split = Split(time.time(), value, by)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(splits), split._asdict())
        except SQLAlchemyError as error:
            raise LogError(f"the split was not changed: {error}") from None
        self.current = self._newest()
        return self.current

    def history(self) -> list[Split]:
        """The oldest first."""
        columns = (splits.c.time, splits.c.value, splits.c.by)
        with self._engine.execution_options(reads=True).connect() as connection:
            rows = connection.execute(select(*columns).order_by(splits.c.id))
            return [Split(*row) for row in rows]

    def close(self) -> None:
        self._closed.set()

    def _set_default(self, value: float) -> None:
        """With the one id that no other has, so that many workers at once set one."""
        statement = insert_if_new(splits, self._engine.dialect.name)
        row = {"id": 0, "time": time.time(), "value": value, "by": "configs/project.yaml"}
        with self._engine.begin() as connection:
            connection.execute(statement, row)

    def _newest(self) -> Split:
        columns = (splits.c.time, splits.c.value, splits.c.by)
        with self._engine.execution_options(reads=True).connect() as connection:
            row = connection.execute(select(*columns).order_by(splits.c.id.desc()).limit(1)).one()
            return Split(*row)

    def _follow(self) -> None:
        while not self._closed.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.current = self._newest()
            except SQLAlchemyError:
                continue  # the last one known stays in force
