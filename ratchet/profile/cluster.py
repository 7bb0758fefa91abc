"""Work done by Dask or Spark, driven from a process in the cluster's own environment."""

import json
import subprocess
from dataclasses import dataclass
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
    "import runpy, sys; sys.path.insert(0, sys.argv[1]);"
    " runpy.run_module('ratchet.profile.engines', run_name='__main__', alter_sys=True)"
)
INPUT_ERROR = "InputError: "


@dataclass(frozen=True)
class Cluster:
    """The cluster that the settings of a step name: `section` is "drift" or "score"."""

    section: str
    engine: str
    address: str | None

    def require(self, source: str, parameter: str) -> None:
        if self.address is None:
            raise InputError(
                f"{self.section}.engine is {self.engine}, but {self.section}.address is not set."
                " Set it to the scheduler, such as tcp://scheduler:8786 for Dask or"
                " spark://master:7077 for Spark"
            )
        if not is_parquet(source):
            raise InputError(
                f"{source} ({parameter}): {self.engine} reads Parquet (*.parquet) only, because the"
                " type of a CSV column depends on all its values. Write Parquet, or unset"
                f" {self.section}.engine"
            )

    def run(self, job: str, folder: Path, settings: Settings, source: str) -> None:
        """Run a job, such as "ratchet.profile.job:read", on the files of `source`.

        The folder holds what the job needs, and receives what it leaves.
        """
        python = python_of(LOCK)
        print(f"{self.engine} at {self.address} reads {source}", flush=True)
        (folder / "settings.json").write_text(settings.model_dump_json())
        with TemporaryDirectory() as name:
            package = Path(name) / PACKAGE
            wheel(Path(name)).rename(package)
            where = [self.engine, str(self.address), f"{self.section}.address"]
            command = [str(python), "-c", START, str(package), *where, job, str(folder), source]
            _call(command, self.engine)


def read_on_cluster(current: str, settings: Settings, reference: Profile) -> tuple[Reading, Schema]:
    cluster = Cluster("drift", settings.drift.engine, settings.drift.address)
    cluster.require(current, "current")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "reference.json").write_text(to_json(reference))
        cluster.run("ratchet.profile.job:read", folder, settings, current)
        reading = load(folder)
        types = json.loads((folder / "types.json").read_text())
    return reading, changes(types, reading.profile, settings.data)


def _call(command: list[str], engine: str) -> None:
    done = subprocess.run(
        command,
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
    reason = lines[-1] if lines else "it wrote no message, so it may have run out of memory"
    raise InputError(f"{engine} failed: {reason}")
