"""A reference or current data, read: the profile, and the sample that dependence is seen in.

A reference is made when a model is trained, and travels with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet.columns import Kind
from ratchet.data.source import Rows, connect, of_frame, opened
from ratchet.errors import InputError
from ratchet.profile.counting import Column, column, counts, first_counts, place_of, quoted
from ratchet.profile.profile import Counts, Profile, emptied, from_json, to_json
from ratchet.profile.sample import Sample
from ratchet.profile.schema import Schema, check_columns, schema
from ratchet.settings import DataSettings

if TYPE_CHECKING:
    import duckdb
    import pyarrow

FOLDER = "profile"  # of a run's artifacts
SAMPLE = 4000  # rows
PREDICTION, LABEL, RIGHT = "prediction", "label", "(right)"
LOG = {"request_id", "timestamp", "user_id", "variant", "model_version", PREDICTION, LABEL}


@dataclass(frozen=True)
class Reading:
    profile: Profile
    sample: "pyarrow.Table"

    def save(self, folder: Path) -> None:
        import pyarrow.parquet

        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profile.json").write_text(to_json(self.profile), encoding="utf-8")
        pyarrow.parquet.write_table(self.sample, folder / "sample.parquet", compression="zstd")


def load(folder: Path) -> Reading:
    import pyarrow.parquet

    file = folder / "profile.json"
    profile = from_json(file.read_text(encoding="utf-8"), where=str(file))
    return Reading(profile, pyarrow.parquet.read_table(folder / "sample.parquet"))


def read_training(features: pd.DataFrame, target: np.ndarray, kinds: Mapping[str, Kind]) -> Reading:
    seen, sample = _first(features, kinds)
    classes, _ = _first(pd.DataFrame({LABEL: target}), {LABEL: _kind_of(target)})
    return Reading(Profile(len(features), seen, *classes.values()), sample)


def with_answers(seen: Reading, predicted: np.ndarray, truth: np.ndarray) -> Reading:
    """What a model says of the holdout, which it never saw."""
    answers = pd.DataFrame({PREDICTION: predicted, RIGHT: predicted == truth})
    found, _ = _first(answers, {PREDICTION: _kind_of(truth), RIGHT: "boolean"})
    profile = replace(seen.profile, prediction=found[PREDICTION], right=found[RIGHT])
    return replace(seen, profile=profile)


def _kind_of(classes: np.ndarray) -> Kind:
    return "boolean" if classes.dtype.kind == "b" else "categorical"


def _first(
    frame: pd.DataFrame, kinds: Mapping[str, Kind]
) -> tuple[dict[str, Any], "pyarrow.Table"]:
    rows = of_frame(frame)
    columns = [
        column(name, kind, kinds[name]) for name, kind in zip(rows.names, rows.types, strict=True)
    ]
    found, sample = first_counts(rows, columns, SAMPLE)
    return dict(zip(rows.names, found, strict=True)), sample.rows


def read_reference(address: str, settings: DataSettings) -> Reading:
    """A file as the reference, in place of what a model was trained on."""
    with opened(address, settings.missing, settings.drop, "reference", connection=frugal()) as rows:
        known = dict(zip(rows.names, rows.types, strict=True))
        others = not_features(known, settings)
        features = [
            column(name, kind, settings.kinds.get(name))
            for name, kind in known.items()
            if name not in others
        ]
        answers = {
            part: column(
                name, known[name], "boolean" if known[name] == "BOOLEAN" else "categorical"
            )
            for part, name in _answer_names(known, settings).items()
        }
        profile, sample = _read(rows, address, features, answers, None)
        return Reading(profile, sample.rows)


def read_current(
    source: "str | pd.DataFrame | Rows", settings: DataSettings, reference: Profile
) -> tuple[Reading, Schema]:
    """Counted in the reference's bins: a file, a glob, an address, a data frame, any rows."""
    if isinstance(source, Rows):
        return read_rows(source, "the prediction log", settings, reference)
    if isinstance(source, pd.DataFrame):
        return read_rows(of_frame(source), "the data frame", settings, reference)
    dates = [name for name, counts in reference.features.items() if counts.kind == "date"]
    with opened(source, settings.missing, settings.drop, "current", dates, frugal()) as rows:
        return read_rows(rows, source, settings, reference)


def frugal() -> "duckdb.DuckDBPyConnection":
    """DuckDB decodes a row group a thread, and whole groups ahead where a file may be far away."""
    connection = connect()
    connection.execute("SET threads = 1; SET disable_parquet_prefetching = true")
    return connection


def read_rows(
    rows: Rows, where: str, settings: DataSettings, reference: Profile
) -> tuple[Reading, Schema]:
    return whole(read_part(rows, where, settings, reference), settings)


@dataclass(frozen=True)
class Part:
    """Some of the current rows: parts add up, in their order, to the reading of all of them."""

    profile: Profile
    sample: Sample
    types: Mapping[str, str]  # that its columns arrived in

    def __add__(self, other: "Part") -> "Part":
        return Part(self.profile + other.profile, self.sample + other.sample, self.types)


def read_part(
    rows: Rows, where: str, settings: DataSettings, reference: Profile, before: int = 0
) -> Part:
    """`before`: how many rows of the whole come before these."""
    check_columns(rows.names, reference, where)
    features = [_as_before(name, counts) for name, counts in reference.features.items()]
    answers = {
        part: _as_before(name, counts)
        for part, name in _answer_names(rows.names, settings).items()
        if (counts := getattr(reference, part)) and name not in reference.features
    }
    profile, sample = _read(rows, where, features, answers, reference, before)
    return Part(profile, sample, dict(zip(rows.names, rows.types, strict=True)))


def whole(part: Part, settings: DataSettings) -> tuple[Reading, Schema]:
    return Reading(part.profile, part.sample.rows), changes(part.types, part.profile, settings)


def changes(types: Mapping[str, str], profile: Profile, settings: DataSettings) -> Schema:
    columns = {name: _as_before(name, counts) for name, counts in profile.features.items()}
    return schema(types, columns, profile.features, not_features(types, settings))


def _as_before(name: str, counts: Counts) -> Column:
    return Column(name, counts.kind, getattr(counts, "numbers", False))


def not_features(names: Sequence[str] | Mapping[str, str], settings: DataSettings) -> set[str]:
    is_log = "request_id" in names and PREDICTION in names
    return {settings.target, *settings.drop, PREDICTION, LABEL, *(LOG if is_log else ())}


def _answer_names(
    names: Sequence[str] | Mapping[str, str], settings: DataSettings
) -> dict[str, str]:
    target = settings.target if settings.target in names else LABEL
    wanted = {"target": target, "prediction": PREDICTION}
    return {part: name for part, name in wanted.items() if name in names}


def _read(
    rows: Rows, where: str, features: Sequence[Column], answers: Mapping[str, Column],
    like: Profile | None, earlier: int = 0,
) -> tuple[Profile, Sample]:  # fmt: skip
    if len(answers) == 2 and (like is None or like.right):
        rows = _with_right(rows, *(answers[part] for part in ("target", "prediction")))
        answers = {**answers, "right": Column(RIGHT, "boolean")}
    columns = [*features, *answers.values()]
    if like is None:
        found, sample = first_counts(rows, columns, SAMPLE)
    else:
        before = [like.features[one.name] for one in features]
        before += [getattr(like, part) for part in answers]
        found, sample = counts(rows, columns, [emptied(one) for one in before], SAMPLE, earlier)
    read = found[0].rows if found else 0
    if not read:
        raise InputError(f"{where} has no rows; expected some to compare with the reference")
    named = dict(zip((one.name for one in features), found, strict=False))
    parts: Any = dict(zip(answers, found[len(features) :], strict=True))
    seen = replace(sample, rows=sample.rows.select(list(named)))
    return Profile(read, named, **parts), seen


def _with_right(rows: Rows, truth: Column, said: Column) -> Rows:
    one, other = (column.value(*place_of(column.name, rows)) for column in (truth, said))
    relation = rows.relation.project(f"*, ({one}) = ({other}) AS {quoted(RIGHT)}")
    return Rows(relation, [*rows.names, RIGHT])
