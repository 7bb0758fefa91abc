"""Moving a store to an MLflow server.

The artifacts are uploaded through the server. Then all rows are written into the server's database,
in one transaction. The server's REST interface is not used for the rows, because it would give each
run a new id. The ledger, the versions and `reproduce` refer to runs by their ids.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.errors import InputError
from ratchet.progress import progress
from ratchet.store.database import ARTIFACTS, copy_for_travel, counts, relocate

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData, Table

ROWS_AT_ONCE = 1000
DEFAULT_ROW = ("experiments", "workspaces")  # a new server has one row in each of these tables


@dataclass(frozen=True)
class Moved:
    counts: dict[str, int]
    artifacts: int
    loaded: int  # number of models that were downloaded from the server and loaded


def move(database: Path, to: str, server: str) -> Moved:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "mlflow.db"
        copy_for_travel(database, copy)
        relocate(copy, ARTIFACTS, "mlflow-artifacts:")
        target = _engine(to)
        source = _engine(f"sqlite:///{copy}")
        tables = _tables()
        _require_same_schema(source, target)
        _require_empty(target, tables)
        files = sorted(f for f in (database.parent / ARTIFACTS).rglob("*") if f.is_file())
        progress(
            (_upload(file, database.parent, server) for file in files), len(files), "artifacts"
        )
        with source.connect() as rows, target.begin() as into:
            for table in reversed(tables.sorted_tables):
                into.execute(table.delete())  # the rows that a new server has
            for table in tables.sorted_tables:
                _copy(table, rows, into)
                _continue_numbers(table, into)
        expected = counts(copy)
    actual, loaded = _check(server)
    if actual != expected:
        raise RuntimeError(f"the server has {actual}, but the store has {expected}")
    return Moved(actual, len(files), loaded)


def _engine(address: str) -> "Engine":
    """Connect to a database, and create MLflow's tables if they are missing."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine_with_retry
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_sqlalchemy_engine_with_retry(address)  # type: ignore[no-untyped-call]
        if not inspect(engine).has_table("runs"):
            _initialize_tables(engine)  # type: ignore[no-untyped-call]
    except (SQLAlchemyError, MlflowException) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"The database to={_without_password(address)} cannot be used: {first}. Check its"
            " address, and that it is running"
        ) from None
    return engine  # type: ignore[no-any-return]


def _without_password(address: str) -> str:
    from sqlalchemy import make_url

    try:
        return make_url(address).render_as_string(hide_password=True)
    except Exception:  # text that is not an address may contain anything
        return "..."


def _tables() -> "MetaData":
    import mlflow.store.model_registry.dbmodels.models
    import mlflow.store.tracking.dbmodels.models  # noqa: F401
    from mlflow.store.db.base_sql_model import Base

    return Base.metadata  # type: ignore[no-any-return]


def _require_same_schema(source: "Engine", target: "Engine") -> None:
    from mlflow.store.db.utils import _get_schema_version

    ours, theirs = map(_get_schema_version, (source, target))
    if ours != theirs:
        raise InputError(
            f"The tables of the server's database have MLflow's schema {theirs}, and those of this"
            f" store have {ours}. Install the MLflow of requirements.txt on both sides, and run"
            " `mlflow db upgrade ADDRESS` for the older database"
        )


def _require_empty(target: "Engine", tables: "MetaData") -> None:
    from sqlalchemy import func, select

    with target.connect() as connection:
        for table in tables.sorted_tables:
            rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
            if rows > (table.name in DEFAULT_ROW):
                raise InputError(
                    f"The server's database is not empty: its table {table.name} has {rows} rows,"
                    " whose ids may be used in the store too. Move the store to a new database"
                )


def _upload(file: Path, root: Path, server: str) -> Path:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = file.parent.relative_to(root / ARTIFACTS).as_posix()
    address = f"mlflow-artifacts:/{folder}"
    repository = get_artifact_repository(address, tracking_uri=server)
    repository.log_artifact(str(file))  # type: ignore[no-untyped-call]
    return file


def _copy(table: "Table", rows: "Connection", into: "Connection") -> None:
    from sqlalchemy import select

    result = rows.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table))
    for part in result.mappings().partitions(ROWS_AT_ONCE):
        into.execute(table.insert(), [dict(row) for row in part])


def _continue_numbers(table: "Table", into: "Connection") -> None:
    """Let PostgreSQL number new rows after the largest id that was copied.

    Inserting a row with an id does not advance the sequence from which PostgreSQL takes new ids.
    """
    from sqlalchemy import func, select

    column = table.autoincrement_column
    if into.dialect.name != "postgresql" or column is None:
        return
    sequence = func.pg_get_serial_sequence(table.name, column.name)
    largest = select(func.max(column)).scalar_subquery()
    into.execute(select(func.setval(sequence, func.greatest(func.coalesce(largest, 0), 1))))


def _check(server: str) -> tuple[dict[str, int], int]:
    """Return how many runs, versions and aliases the server has, and load all models from it.

    The second value is the number of models that were loaded.
    """
    import mlflow
    from mlflow.artifacts import download_artifacts

    from ratchet.model import model_file

    client = mlflow.MlflowClient(server, server)
    experiments = [one.experiment_id for one in _all(client.search_experiments, view_type=3)]
    runs = _all(client.search_runs, experiment_ids=experiments, run_view_type=3)
    versions = _all(client.search_model_versions)
    aliases = [alias for model in _all(client.search_registered_models) for alias in model.aliases]

    def load(version: Any) -> Any:
        address = f"models:/{version.name}/{version.version}"
        return model_file.load(Path(download_artifacts(address, tracking_uri=server)))

    loaded = progress((load(version) for version in versions), len(versions), "models")
    counted = {"runs": len(runs), "versions": len(versions), "aliases": len(aliases)}
    return counted, len(loaded)


def _all(search: Any, **conditions: Any) -> list[Any]:
    """Return the items of all pages of a search."""
    items, token = [], None
    while True:
        page = search(page_token=token, **conditions)
        items += list(page)
        token = page.token
        if not token:
            return items
