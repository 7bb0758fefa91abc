"""The folder next to the output in which a run keeps its finished parts, so that it can continue.

A part is finished when its JSON file exists, which is written last. The output is made of all parts
at the end, under a temporary name, and renamed: it exists as a whole or not at all.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ratchet.data.formats import is_parquet
from ratchet.errors import InputError
from ratchet.profile.profile import Profile, from_json, to_json
from ratchet.profile.reading import SAMPLE_ROWS, Reading
from ratchet.profile.sample import Sample
from ratchet.scoring.scored_part import MAX_EXAMPLES, PREDICTION, ScoredPart

WORK = Path(".ratchet/scoring")  # the parts of an output that is written to an address
KEYS = "(sample key)"


class Parts:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, file: int, number: int, part: ScoredPart) -> None:
        name = self.folder / f"{file:06d}-{number:06d}"
        pq.write_table(part.predictions, name.with_suffix(".parquet"))
        sample = part.sample.rows.append_column(KEYS, pa.array(part.sample.keys))
        pq.write_table(sample, name.with_suffix(".sample"))
        content = {
            "profile": to_json(part.profile),
            "refused": part.refused,
            "examples": list(part.examples),
        }
        _write_whole(name.with_suffix(".json"), json.dumps(content))

    def finish_file(self, file: int, rows: int) -> None:
        _write_whole(self.folder / f"{file:06d}.rows", str(rows))

    def rows_of(self, file: int) -> int | None:
        """Return the number of rows of a file if all its parts are finished."""
        try:
            return int((self.folder / f"{file:06d}.rows").read_text())
        except FileNotFoundError:
            return None

    def finished(self, file: int) -> int:
        """Return the number of finished parts at the beginning of a file."""
        return len(list(self.folder.glob(f"{file:06d}-*.json")))

    def tables(self) -> Iterator[pa.Table]:
        for name in self._names():
            yield pq.read_table(name.with_suffix(".parquet"))

    def read(self) -> Iterator[tuple[Profile, Sample, int, list[str]]]:
        for name in self._names():
            content = json.loads(name.with_suffix(".json").read_text())
            profile = from_json(content["profile"], str(name))
            rows = pq.read_table(name.with_suffix(".sample"))
            keys = rows.column(KEYS).to_numpy()
            sample = Sample(rows.drop_columns([KEYS]), keys, SAMPLE_ROWS)
            yield profile, sample, content["refused"], content["examples"]

    def reading(self, data: str) -> Reading:
        """Return the profile of all rows, as a drift check would read it."""
        profile: Profile | None = None
        sample: Sample | None = None
        for one, drawn, _, _ in self.read():
            profile = one if profile is None else profile + one
            sample = drawn if sample is None else sample + drawn
        if profile is None or sample is None:
            raise InputError(f"{data} (data) has no rows; expected some to score")
        return Reading(profile, sample.rows)

    def refused(self) -> tuple[int, list[str]]:
        """Return the number of refused rows, and the first ones."""
        total, examples = 0, list[str]()
        for _, _, refused, first in self.read():
            total += refused
            examples += first
        return total, examples[:MAX_EXAMPLES]

    def classes(self) -> dict[str, int]:
        """Return the number of rows by predicted class."""
        counts: dict[str, int] = {}
        for table in self.tables():
            for pair in table.column(PREDICTION).value_counts().to_pylist():
                label = "(refused)" if pair["values"] is None else str(pair["values"])
                counts[label] = counts.get(label, 0) + pair["counts"]
        return dict(sorted(counts.items()))

    def _names(self) -> list[Path]:
        return sorted(path.with_suffix("") for path in self.folder.glob("*-*.json"))

    def write_output(self, out: str) -> None:
        whole = self.folder / f"whole{Path(out).suffix}"
        tables = self.tables()
        first = next(tables)
        writer: Any = (pq.ParquetWriter if is_parquet(out) else pyarrow.csv.CSVWriter)(
            str(whole), first.schema
        )
        with writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table.cast(first.schema))
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        if "://" in out:
            _upload(whole, out)
        else:
            whole.rename(out)
        shutil.rmtree(self.folder)


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".temporary")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _upload(file: Path, out: str) -> None:
    """Upload under another name, then rename: a reader never sees a part of the output."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(out)
    system.put_file(str(file), f"{path}.partial")
    system.mv(f"{path}.partial", path)


def exists(out: str) -> bool:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(out)
    return bool(system.exists(path))


@contextmanager
def parts_of(out: str, request: Mapping[str, Any]) -> Iterator[Parts]:
    """Yield the parts of an output, and hold their lock.

    The parts of a run that was stopped are kept if it had the same request: the same version, files
    and parameters.
    """
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, out):
        file, text = folder / "request.json", json.dumps(request, indent=1, sort_keys=True)
        if not file.exists() or file.read_text() != text:
            for other in folder.iterdir():
                other.unlink()
            _write_whole(file, text)
        try:
            yield Parts(folder)
        finally:
            if not any(folder.glob("*-*.json")):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, out: str) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(
            f"Another run is writing {out} (out). Wait for it, or choose another name"
        ) from None
    finally:
        os.close(descriptor)


def _folder(out: str) -> Path:
    if "://" in out:
        return WORK / hashlib.sha256(out.encode()).hexdigest()[:16]
    path = Path(out)
    return path.with_name(f".{path.name}.parts")
