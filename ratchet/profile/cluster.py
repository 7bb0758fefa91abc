"""A check's current data read by Dask or Spark, from a process in the cluster's own environment."""

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from ratchet.data.source import is_parquet
from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.profile.profile import Profile, to_json
from ratchet.profile.reading import Reading, changes, load
from ratchet.profile.schema import Schema
from ratchet.settings import Settings

LOCK = Path("requirements-cluster.txt")
SOURCE = Path(__file__).parents[2]  # the folder that the package lies in
REFUSED = "InputError: "


def read_on_cluster(current: str, settings: Settings, reference: Profile) -> tuple[Reading, Schema]:
    limits = settings.drift
    if limits.address is None:
        raise InputError(
            f"drift.engine is {limits.engine} and drift.address is not set; give the scheduler's,"
            " such as tcp://scheduler:8786 for Dask or spark://master:7077 for Spark"
        )
    if not is_parquet(current):
        raise InputError(
            f"{current} (current): {limits.engine} reads Parquet, named *.parquet; what a CSV's"
            " values are is seen from all of them. Write Parquet, or leave drift.engine out"
        )
    python = python_of(LOCK)
    print(f"{limits.engine} at {limits.address} reads {current}", flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(settings.model_dump_json())
        (folder / "reference.json").write_text(to_json(reference))
        _pack(folder / "ratchet.zip")
        _call(python, folder, current, settings)
        reading = load(folder)
        types = json.loads((folder / "types.json").read_text())
    return reading, changes(types, reading.profile, settings.data)


def _pack(file: Path) -> None:
    """The package, for workers that have its lock's environment and no checkout."""
    with ZipFile(file, "w") as packed:
        for module in sorted(SOURCE.glob("ratchet/**/*.py")):
            packed.write(module, module.relative_to(SOURCE))


def _call(python: Path, folder: Path, current: str, settings: Settings) -> None:
    done = subprocess.run(
        [str(python), "-m", "ratchet.profile.engines", str(folder), current],
        env={**os.environ, "PYTHONPATH": str(SOURCE)}, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    if not done.returncode:
        return
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    refused = [line.removeprefix(REFUSED) for line in said if line.startswith(REFUSED)]
    if refused:
        raise InputError(refused[-1])
    engine = settings.drift.engine
    raise InputError(f"{engine} failed: {said[-1] if said else 'it left no word; out of memory?'}")
