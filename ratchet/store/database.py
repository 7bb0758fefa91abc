"""The store's SQLite file: consistent copies of it, with artifact paths that fit any folder."""

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
    """Write a consistent copy, also while others write, in which artifact paths are relative."""
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
            f"{database}: there are artifacts at {outside}, outside {database.parent}, and they"
            " would not be part of the store. Record runs in this folder"
        )


def settle_in(database: Path) -> None:
    """Make the relative artifact paths of a copy absolute, for the folder that it is in now."""
    relocate(database, ARTIFACTS, f"{database.parent.absolute()}/{ARTIFACTS}")


def migrate(database: Path) -> bool:
    """Upgrade an older schema, which MLflow would refuse; return whether that was necessary."""
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
    """Return the tables and columns with paths; an older MLflow has fewer of these tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in rows}
    return [(table, column) for table, column in LOCATIONS.items() if table in tables]
