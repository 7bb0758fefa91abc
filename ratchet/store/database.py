"""The store's SQLite file, and copies of it for other folders.

MLflow stores the path of each artifact in it. On the remote these paths are relative to the store;
in a folder they are absolute.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ratchet.errors import InputError

LOCATIONS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
ARTIFACTS = "mlruns"
DATABASE = "mlflow.db"


def copy_for_travel(database: Path, target: Path) -> None:
    """Write a copy in which artifact paths are relative.

    The copy is consistent, even if another process writes to the database at the same time.
    """
    target.unlink(missing_ok=True)
    with closing(
        sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    ) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    folders = {database.parent.absolute(), database.parent.resolve()}
    for folder in folders:
        for root in (f"file://{folder}", str(folder)):
            relocate(target, f"{root}/{ARTIFACTS}", ARTIFACTS)
    if outside := next(_absolute_paths(target), None):
        raise InputError(
            f"{database} names artifacts at {outside}. They are outside {database.parent}, so they"
            " cannot be stored with it. Run the steps in this folder"
        )


def settle_in(database: Path) -> None:
    """Make the relative artifact paths of a copy absolute, for the folder in which it is."""
    relocate(database, ARTIFACTS, f"{database.parent.absolute()}/{ARTIFACTS}")


def migrate(database: Path) -> bool:
    """Upgrade the tables if an older MLflow made them, and return whether they were upgraded.

    MLflow refuses tables with an older schema.
    """
    from mlflow.store.db.utils import (
        _get_latest_schema_revision,
        _get_schema_version,
        _upgrade_db,
    )
    from sqlalchemy import create_engine

    logging.getLogger("alembic").setLevel(logging.ERROR)
    engine = create_engine(f"sqlite:///{database.absolute()}")
    try:
        current, newest = _get_schema_version(engine), _get_latest_schema_revision()  # type: ignore[no-untyped-call]
        if current != newest:
            _upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    return bool(current != newest)


def relocate(database: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _locations(connection):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )


def counts(database: Path) -> dict[str, int]:
    """Return the number of runs, versions and aliases."""
    tables = {
        "runs": "runs",
        "versions": "model_versions",
        "aliases": "registered_model_aliases",
    }
    with closing(sqlite3.connect(database)) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for name, table in tables.items()
        }


def has_prod(database: Path) -> bool:
    query = "SELECT 1 FROM registered_model_aliases WHERE alias = 'prod'"
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchone() is not None


def _absolute_paths(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        for table, column in _locations(connection):
            rows = connection.execute(
                f"SELECT {column} FROM {table}"  # noqa: S608
                f" WHERE {column} LIKE '/%' OR {column} LIKE 'file:%'"
            )
            yield from (path for (path,) in rows)


def _locations(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the columns with paths, by table. A store of an older MLflow has fewer tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in rows}
    return [(table, column) for table, column in LOCATIONS.items() if table in tables]
