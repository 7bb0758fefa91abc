"""The store's SQLite file: copied whole while others write, its paths free of any folder."""

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


def copy_for_travel(database: Path, target: Path) -> None:
    """A consistent copy whose artifacts are found at mlruns/, wherever that is."""
    target.unlink(missing_ok=True)
    with closing(
        sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    ) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    folders = {database.parent.absolute(), database.parent.resolve()}
    for folder in folders:
        for root in (f"file://{folder}", str(folder)):
            relocate(target, f"{root}/{ARTIFACTS}", ARTIFACTS)
    if tied := next(_absolute(target), None):
        raise InputError(
            f"{database}: artifacts lie at {tied}, outside {database.parent}, and would not travel"
            " with the store; record runs in this folder"
        )


def settle_in(database: Path) -> None:
    """The paths of a copy that has arrived."""
    relocate(database, ARTIFACTS, f"{database.parent.absolute()}/{ARTIFACTS}")


def migrate(database: Path) -> bool:
    """To the schema of the MLflow at hand, which would refuse an older one. True where it was."""
    from mlflow.store.db.utils import (
        _get_latest_schema_revision,
        _get_schema_version,
        _upgrade_db,
    )
    from sqlalchemy import create_engine

    logging.getLogger("alembic").setLevel(logging.ERROR)
    engine = create_engine(f"sqlite:///{database.absolute()}")
    try:
        have, newest = _get_schema_version(engine), _get_latest_schema_revision()  # type: ignore[no-untyped-call]
        if have != newest:
            _upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()
    return bool(have != newest)


def relocate(database: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _locations(connection):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )


def counts(database: Path) -> dict[str, int]:
    """What a person would count: runs, versions, aliases."""
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


def _absolute(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        for table, column in _locations(connection):
            found = connection.execute(
                f"SELECT {column} FROM {table}"  # noqa: S608
                f" WHERE {column} LIKE '/%' OR {column} LIKE 'file:%'"
            )
            yield from (row[0] for row in found)


def _locations(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Of the tables that this database has: an older MLflow's has fewer."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    have = {name for (name,) in tables}
    return [(table, column) for table, column in LOCATIONS.items() if table in have]
