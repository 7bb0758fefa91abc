"""The current data of a check, read by a cluster: python -m ratchet.profile.engines FOLDER CURRENT

Runs in the environment of requirements-cluster.txt, which the workers have too. The folder holds
the settings, the reference's profile and the package for the workers, and takes what was read.
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
SECONDS = 10  # that a scheduler has to answer
TASKS_A_CORE = 4  # so that no core waits long for the last one


@contextmanager
def dask(address: str, package: Path) -> Iterator[tuple[Map, int]]:
    """What maps over the workers, and their cores."""
    from distributed import Client

    try:
        client = Client(address, timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"Dask at {address} (drift.address) does not answer: {error}") from None
    with client:
        client.run(_forget)
        client.upload_file(str(package))
        cores = sum(client.nthreads().values())
        yield lambda task, items: list(client.gather(client.map(task, items, pure=False))), cores


def _forget() -> None:
    """Workers live long: what an earlier check brought them may be of another version."""
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
            " is the address right, and is there a Java here?"
        ) from None
    with session:
        context = session.sparkContext
        context.addPyFile(str(package))
        yield (
            lambda task, items: context.parallelize(items, len(items)).map(task).collect(),
            context.defaultParallelism,
        )


def _first_line(error: Exception) -> str:
    """Of Java's words, where it is Java's."""
    return (str(error).partition("\n: ")[2] or str(error)).partition("\n")[0]


ENGINES: dict[str, Callable[[str, Path], AbstractContextManager[tuple[Map, int]]]] = {
    "dask": dask, "spark": spark,
}  # fmt: skip


def read_current(
    current: str, settings: Settings, reference: Profile, mapped: Map, cores: int
) -> Part:
    files = listed_files(current, "current")
    tasks = TASKS_A_CORE * max(cores, 1)
    rows = [count for part in mapped(rows_in, _split(files, tasks)) for count in _sure(part)]
    starts = accumulate(rows, initial=0)
    places = [place for *place, count in zip(files, starts, rows, strict=False) if count]
    if not places:
        raise InputError(f"{current} has no rows; expected some to compare with the reference")
    task = partial(read_files, settings=settings.data, reference=reference, several=len(files) > 1)
    parts: list[Part] = [_sure(part) for part in mapped(task, _split(places, tasks))]
    return reduce(add, parts)


def _split(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    """In their order, about as many in each."""
    size = -(-len(items) // parts)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _sure(result: Any) -> Any:
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
    except InputError as refused:
        sys.exit(f"InputError: {refused}")
