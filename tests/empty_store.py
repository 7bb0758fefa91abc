"""New MLflow databases, copied from a template, because fifty migrations take a second."""

import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def copy_tables() -> Callable[[], bytes]:
    """Let this process make the tables of one SQLite store, and copy them for all others.

    Return the function that makes them, for a process that will fork.
    """
    from mlflow.store.db import utils

    make: Callable[[Any], Any] = utils._initialize_tables

    @cache
    def template() -> bytes:
        from sqlalchemy import create_engine

        with TemporaryDirectory() as folder:
            engine = create_engine(f"sqlite:///{folder}/mlflow.db")
            make(engine)
            engine.dispose()
            return Path(folder, "mlflow.db").read_bytes()

    def copy(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not engine.url.database:
            make(engine)
            return
        tables = sqlite3.connect(":memory:")
        tables.deserialize(template())
        with sqlite3.connect(engine.url.database) as store:
            tables.backup(store)
        store.close()
        tables.close()

    utils._initialize_tables = copy
    return template
