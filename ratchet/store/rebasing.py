"""Adding the new runs and versions of a copy to the newest state of the store.

A long training or search works on a copy of the store without holding the store lock. At the end,
this module takes the lock, fetches the newest state, and adds the runs and versions of the copy to
it. Runs keep their ids, which are unique. Versions get the next free numbers. If another run has
added a version with the same config, data and lock file in the meantime, the version is left out.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.registry.registry import Registry, Version
from ratchet.store.database import ARTIFACTS, DATABASE, migrate
from ratchet.store.remote import Remote
from ratchet.store.state import Taken, take

RUN_TABLES = [
    "runs",
    "params",
    "metrics",
    "latest_metrics",
    "tags",
    "datasets",
    "inputs",
    "input_tags",
]
RUN_TABLES += [f"logged_model{part}" for part in ("s", "_params", "_metrics", "_tags")]
SAME = ("config_sha256", "data_sha256", "lock_sha256")


@dataclass(frozen=True)
class NewVersion:
    number: str
    run_id: str
    model_id: str
    tags: dict[str, str]


def rebase(remote: Remote, folder: Path, model: str, limit_size: bool) -> tuple[Taken, list[str]]:
    """Take the lock, fetch the newest state, and add what is new in the folder's copy.

    Return the state and the numbers of the added versions.
    """
    copy = remote.folder.parent / "copy"
    _move_store(folder, copy)
    taken = take(remote, folder, to_change=True, limit_size=limit_size)
    if taken.store is None:
        _move_store(copy, folder)
        return taken, []
    if not (copy / DATABASE).exists():
        return taken, []
    migrate(folder / DATABASE)
    _add_runs(copy, folder)
    registry = _registry(folder / DATABASE, model)
    return taken, [version.number for version in _add_versions(copy / DATABASE, registry)]


def _registry(database: Path, model: str) -> Registry:
    import mlflow

    address = f"sqlite:///{database.absolute()}"
    return Registry(mlflow.MlflowClient(address, address), model)


def _move_store(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in (DATABASE, ARTIFACTS):
        if (source / name).exists():
            shutil.rmtree(target / name, ignore_errors=True)
            shutil.move(source / name, target / name)


def _add_runs(copy: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.execute("ATTACH ? AS copy", (str(copy / DATABASE),))
        for table in RUN_TABLES:
            rows = f"SELECT * FROM copy.{table}"  # noqa: S608
            connection.execute(f"INSERT OR IGNORE INTO {table} {rows}")
        connection.commit()
        connection.execute("DETACH copy")
    for source in _artifact_folders(copy):
        target = folder / source.relative_to(copy)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)


def _artifact_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of runs, mlruns/<experiment>/<run>, and of models, .../models/<id>."""
    for path in (folder / ARTIFACTS).glob("*/*"):
        yield from path.iterdir() if path.name == "models" else [path]


def _add_versions(copy: Path, registry: Registry) -> list[Version]:
    known = registry.versions()
    run_ids = {version.run_id for version in known}
    in_copy = list(_versions(copy, registry.model))
    copied_runs = {version.run_id for version in in_copy}
    meanwhile = {_same(one.tags) for one in known if one.run_id not in copied_runs}
    return [
        registry.register(version.run_id, version.model_id, version.tags)
        for version in in_copy
        if version.run_id not in run_ids and _same(version.tags) not in meanwhile
    ]


def _versions(database: Path, model: str) -> Iterator[NewVersion]:
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT version, run_id, source FROM model_versions WHERE name = ? ORDER BY version"
        tags = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
        for number, run_id, source in connection.execute(query, (model,)).fetchall():
            values = dict(connection.execute(tags, (model, number)).fetchall())
            yield NewVersion(str(number), run_id, source.removeprefix("models:/"), values)


def _same(tags: Any) -> tuple[str | None, ...]:
    return tuple(tags.get(key) for key in SAME)
