"""Current data read by Dask or Spark, from a process in the cluster's own environment."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.data.formats import is_parquet
from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.profile.profile import Profile, to_json
from ratchet.profile.reading import Reading, changes, load
from ratchet.profile.schema import Schema
from ratchet.settings import Settings
from ratchet.wheel import wheel

LOCK = Path("requirements-cluster.txt")
PACKAGE = "ratchet.zip"  # the wheel under a name that Dask and Spark accept
# The module has to be __main__: Dask then sends its functions by value, also to workers that do not
# have the package yet.
START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1));"
    " runpy.run_module('ratchet.profile.engines', run_name='__main__', alter_sys=True)"
)
INPUT_ERROR = "InputError: "


def read_on_cluster(current: str, settings: Settings, reference: Profile) -> tuple[Reading, Schema]:
    limits = settings.drift
    if limits.address is None:
        raise InputError(
            f"drift.engine is {limits.engine}, but drift.address is not set. Set it to"
            " the scheduler, such as tcp://scheduler:8786 for Dask or spark://master:7077 for Spark"
        )
    if not is_parquet(current):
        raise InputError(
            f"{current} (current): {limits.engine} reads Parquet (*.parquet) only, because the type"
            " of a CSV column depends on all its values. Write Parquet, or unset drift.engine"
        )
    python = python_of(LOCK)
    print(f"{limits.engine} at {limits.address} reads {current}", flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "settings.json").write_text(settings.model_dump_json())
        (folder / "reference.json").write_text(to_json(reference))
        wheel(folder).rename(folder / PACKAGE)
        _call(python, folder, current, settings)
        reading = load(folder)
        types = json.loads((folder / "types.json").read_text())
    return reading, changes(types, reading.profile, settings.data)


def _call(python: Path, folder: Path, current: str, settings: Settings) -> None:
    done = subprocess.run(
        [str(python), "-c", START, str(folder / PACKAGE), str(folder), current],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not done.returncode:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    input_errors = [
        line.removeprefix(INPUT_ERROR) for line in lines if line.startswith(INPUT_ERROR)
    ]
    if input_errors:
        raise InputError(input_errors[-1])
    engine = settings.drift.engine
    reason = lines[-1] if lines else "it wrote no message, so it may have run out of memory"
    raise InputError(f"{engine} failed: {reason}")
