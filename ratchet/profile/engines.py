"""The connection to a cluster, on which it runs a job.

`ratchet/profile/cluster.py` starts it in the environment of requirements-cluster.txt, which the
workers have too. The folder holds what the job needs, and receives what it leaves.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path

from ratchet.errors import InputError
from ratchet.profile.job import Map

CONNECT_SECONDS = 10


@contextmanager
def dask(address: str, setting: str, package: Path) -> Iterator[tuple[Map, int]]:
    """Return a function that maps over the workers, and the number of their cores."""
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"Dask at {address} ({setting}) does not answer: {error}") from None
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
def spark(address: str, setting: str, package: Path) -> Iterator[tuple[Map, int]]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        session = SparkSession.builder.appName("ratchet").master(address).getOrCreate()
    except (PySparkRuntimeError, Py4JError) as error:
        raise InputError(
            f"Spark at {address} ({setting}) does not answer: {_first_line(error)};"
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


Engine = Callable[[str, str, Path], AbstractContextManager[tuple[Map, int]]]
ENGINES: dict[str, Engine] = {"dask": dask, "spark": spark}


def main(
    package: str, engine: str, address: str, setting: str, job: str, folder: str, source: str
) -> None:
    module, function = job.split(":")
    with ENGINES[engine](address, setting, Path(package)) as (mapped, cores):
        getattr(import_module(module), function)(Path(folder), source, mapped, cores)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"InputError: {error}")
