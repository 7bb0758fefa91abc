"""The job of a drift check on a cluster: it reads the current data and leaves a reading."""

import json
from collections.abc import Callable, Sequence
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
TASKS_PER_CORE = 4  # small tasks, so that no core waits long for the last one


def read(folder: Path, current: str, mapped: Map, cores: int) -> None:
    settings = Settings.model_validate_json((folder / "settings.json").read_text())
    reference = from_json((folder / "reference.json").read_text(), "the reference")
    part = read_current(current, settings, reference, mapped, cores)
    Reading(part.profile, part.sample.rows).save(folder)
    (folder / "types.json").write_text(json.dumps(dict(part.types)))


def read_current(
    current: str, settings: Settings, reference: Profile, mapped: Map, cores: int
) -> Part:
    files = listed_files(current, "current")
    tasks = TASKS_PER_CORE * max(cores, 1)
    rows = [count for part in mapped(rows_in, chunks(files, tasks)) for count in checked(part)]
    starts = accumulate(rows, initial=0)
    file_starts = [pair for *pair, count in zip(files, starts, rows, strict=False) if count]
    if not file_starts:
        raise InputError(f"{current} has no rows; expected some to compare with the reference")
    task = partial(read_files, settings=settings.data, reference=reference, several=len(files) > 1)
    parts: list[Part] = [checked(part) for part in mapped(task, chunks(file_starts, tasks))]
    return reduce(add, parts)


def chunks(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    size = -(-len(items) // parts)
    return [items[start : start + size] for start in range(0, len(items), size)]


def checked(result: Any) -> Any:
    if isinstance(result, InputError):
        raise result
    return result
