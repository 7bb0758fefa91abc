"""The current data of a check, read by a cluster.

`ratchet/profile/cluster.py` starts it in the environment of requirements-cluster.txt, which the
workers have too. The folder holds the settings, the reference's profile and the package for the
workers. The result is written there.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial, reduce
from itertools import accumulate
from operator import add
from pathlib import Path
from typing import Any, TypeVar

from ratchet.data.files import listed_files
from ratchet.errors import InputError
from ratchet.profile.parts import read_files, rows_in
from ratchet.profile.profile import Profile, from_json
from ratchet.profile.reading import Part, Reading
from ratchet.settings import Settings

Item = TypeVar("Item")
Map = Callable[[Callable[[Sequence[Any]], Any], Sequence[Sequence[Any]]], list[Any]]
CONNECT_SECONDS = 10
TASKS_PER_CORE = 4  # small tasks, so that no core waits long for the last one


@contextmanager
def dask(address: str, package: Path) -> Iterator[tuple[Map, int]]:
    """Return a function that maps over the workers, and the number of their cores."""
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"Dask at {address} (drift.address) does not answer: {error}") from None
    with client:
        client.run(_unload_package)
        client.upload_file(str(package))
        cores = sum(client.nthreads().values())
        yield lambda task, items: list(client.gather(client.map(task, items, pure=False))), cores


def _unload_package() -> None:
    """Unload the package on a worker: an earlier check may have loaded another version of it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "ratchet"]:
        del sys.modules[name]


@contextmanager
def spark(address: str, package: Path) -> Iterator[tuple[Map, int]]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        session = SparkSession.builder.appName("ratchet").master(address).getOrCreate()
    except (PySparkRuntimeError, Py4JError) as error:
        raise InputError(
            f"Spark at {address} (drift.address) does not answer: {_first_line(error)};"
            " check the address, and that Java is installed here"
        ) from None
    with session:
        context = session.sparkContext
        context.addPyFile(str(package))
        yield (
            lambda task, items: context.parallelize(items, len(items)).map(task).collect(),
            context.defaultParallelism,
        )


def _first_line(error: Exception) -> str:
    """Return the first line of the error; of the JVM's own message if the JVM raised it."""
    return (str(error).partition("\n: ")[2] or str(error)).partition("\n")[0]


Engine = Callable[[str, Path], AbstractContextManager[tuple[Map, int]]]
ENGINES: dict[str, Engine] = {"dask": dask, "spark": spark}


def read_current(
    current: str, settings: Settings, reference: Profile, mapped: Map, cores: int
) -> Part:
    files = listed_files(current, "current")
    tasks = TASKS_PER_CORE * max(cores, 1)
    rows = [count for part in mapped(rows_in, _chunks(files, tasks)) for count in _checked(part)]
    starts = accumulate(rows, initial=0)
    file_starts = [pair for *pair, count in zip(files, starts, rows, strict=False) if count]
    if not file_starts:
        raise InputError(f"{current} has no rows; expected some to compare with the reference")
    task = partial(read_files, settings=settings.data, reference=reference, several=len(files) > 1)
    parts: list[Part] = [_checked(part) for part in mapped(task, _chunks(file_starts, tasks))]
    return reduce(add, parts)


def _chunks(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    size = -(-len(items) // parts)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _checked(result: Any) -> Any:
    if isinstance(result, InputError):
        raise result
    return result


def main(folder: Path, current: str) -> None:
    settings = Settings.model_validate_json((folder / "settings.json").read_text())
    reference = from_json((folder / "reference.json").read_text(), "the reference")
    limits = settings.drift
    with ENGINES[limits.engine](str(limits.address), folder / "ratchet.zip") as (mapped, cores):
        part = read_current(current, settings, reference, mapped, cores)
    Reading(part.profile, part.sample.rows).save(folder)
    (folder / "types.json").write_text(json.dumps(dict(part.types)))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except InputError as error:
        sys.exit(f"InputError: {error}")
