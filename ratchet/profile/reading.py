"""Reading data for a drift check: the profile, and the sample that shows dependence.

A reference is read when a model is trained, and is stored with the model.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from ratchet.columns import Kind, TextKind
from ratchet.data.formats import quoted
from ratchet.data.source import Rows, connect, of_frame, opened
from ratchet.errors import InputError, nearest
from ratchet.profile.counting import Column, column, counts, first_counts, sql_of
from ratchet.profile.profile import Counts, Profile, emptied, from_json, to_json
from ratchet.profile.sample import Sample
from ratchet.profile.schema import Schema, check_columns, schema
from ratchet.settings import DataSettings

if TYPE_CHECKING:
    import duckdb
    import pyarrow

FOLDER = "profile"  # among the artifacts of a run
SAMPLE_ROWS = 4000
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
    """Count the training data. Ids and free text have no place in it: new values are no drift."""
    kinds = {name: kind for name, kind in kinds.items() if kind not in get_args(TextKind)}
    features = features[list(kinds)]
    counted, sample = _read_frame(features, kinds) if kinds else ({}, _no_columns())
    classes, _ = _read_frame(pd.DataFrame({LABEL: target}), {LABEL: _kind_of(target)})
    return Reading(Profile(len(features), counted, *classes.values()), sample)


def with_answers(training: Reading, predicted: np.ndarray, truth: np.ndarray) -> Reading:
    """Add the model's answers on the holdout, which it was not trained on."""
    answers = pd.DataFrame({PREDICTION: predicted, RIGHT: predicted == truth})
    counted, _ = _read_frame(answers, {PREDICTION: _kind_of(truth), RIGHT: "boolean"})
    profile = replace(training.profile, prediction=counted[PREDICTION], right=counted[RIGHT])
    return replace(training, profile=profile)


def _no_columns() -> "pyarrow.Table":
    import pyarrow

    return pyarrow.table({})


def _kind_of(classes: np.ndarray) -> Kind:
    return "boolean" if classes.dtype.kind == "b" else "categorical"


def _read_frame(
    frame: pd.DataFrame, kinds: Mapping[str, Kind]
) -> tuple[dict[str, Any], "pyarrow.Table"]:
    rows = of_frame(frame)
    columns = [
        column(name, kind, kinds[name]) for name, kind in zip(rows.names, rows.types, strict=True)
    ]
    counted, sample = first_counts(rows, columns, SAMPLE_ROWS)
    return dict(zip(rows.names, counted, strict=True)), sample.rows


def read_reference(address: str, settings: DataSettings, unit: str | None = None) -> Reading:
    """Read a file as the reference, instead of the data that a model was trained on."""
    with opened(address, settings, "reference", connection=frugal_connection()) as all_rows:
        rows = one_per_unit(all_rows, unit, address)
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
    source: "str | pd.DataFrame | Rows",
    settings: DataSettings,
    reference: Profile,
    unit: str | None = None,
) -> tuple[Reading, Schema]:
    """Count current data in the reference's bins. Of each value of `unit`, one row counts."""
    if isinstance(source, Rows):
        return read_rows(source, "the prediction log", settings, reference)
    if isinstance(source, pd.DataFrame):
        return read_rows(of_frame(source), "the data frame", settings, reference)
    dates, numbers = (
        [name for name, counts in reference.features.items() if counts.kind == kind]
        for kind in ("date", "numeric")
    )
    connection = frugal_connection()
    with opened(source, settings, "current", dates, numbers, connection) as rows:
        rows = one_per_unit(rows, unit, source, keep=reference.features)
        return read_rows(rows, source, settings, reference)


def one_per_unit(rows: Rows, unit: str | None, where: str, keep: Collection[str] = ()) -> Rows:
    """Keep one row, chosen at random, of each value of the column `unit`, and drop that column.

    Rows of one customer or machine are alike, and many of them are not as much evidence as rows of
    many. Rows without a value all count. The column stays if it is one of `keep`.
    """
    if unit is None:
        return rows
    if unit not in rows.names:
        near = nearest(unit, rows.names)
        raise InputError(f"{where} has no column '{unit}' (drift.unit); {near}")
    column, _ = sql_of(unit, rows)
    names = [name for name in rows.names if name != unit or name in keep]
    columns = ", ".join(sql_of(name, rows)[0] for name in names)
    place = f"row_number() OVER (PARTITION BY {column} ORDER BY hash({columns}))"
    numbered = rows.relation.project(f'*, {place} AS "(place)"')
    relation = numbered.filter(f'{column} IS NULL OR "(place)" = 1').project(columns)
    return Rows(relation, names)


def frugal_connection() -> "duckdb.DuckDBPyConnection":
    """Return a connection that holds one row group in memory: one thread, no prefetching."""
    connection = connect()
    connection.execute("SET threads = 1; SET disable_parquet_prefetching = true")
    return connection


def read_rows(
    rows: Rows, where: str, settings: DataSettings, reference: Profile
) -> tuple[Reading, Schema]:
    return whole(read_part(rows, where, settings, reference), settings)


@dataclass(frozen=True)
class Part:
    """The reading of some current rows. Parts in their order add up to the reading of all rows."""

    profile: Profile
    sample: Sample
    types: Mapping[str, str]  # the DuckDB types of the columns

    def __add__(self, other: "Part") -> "Part":
        return Part(self.profile + other.profile, self.sample + other.sample, self.types)


def read_part(
    rows: Rows, where: str, settings: DataSettings, reference: Profile, rows_before: int = 0
) -> Part:
    """Read some current rows. `rows_before` is the number of rows that come before these."""
    check_columns(rows.names, reference, where)
    features = [column_of(name, counts) for name, counts in reference.features.items()]
    answers = {
        part: column_of(name, counts)
        for part, name in _answer_names(rows.names, settings).items()
        if (counts := getattr(reference, part)) and name not in reference.features
    }
    profile, sample = _read(rows, where, features, answers, reference, rows_before)
    return Part(profile, sample, dict(zip(rows.names, rows.types, strict=True)))


def whole(part: Part, settings: DataSettings) -> tuple[Reading, Schema]:
    return Reading(part.profile, part.sample.rows), changes(part.types, part.profile, settings)


def changes(types: Mapping[str, str], profile: Profile, settings: DataSettings) -> Schema:
    columns = {name: column_of(name, counts) for name, counts in profile.features.items()}
    return schema(types, columns, profile.features, not_features(types, settings))


def column_of(name: str, counts: Counts) -> Column:
    return Column(name, counts.kind, getattr(counts, "numbers", False))


def not_features(names: Sequence[str] | Mapping[str, str], settings: DataSettings) -> set[str]:
    is_log = "request_id" in names and PREDICTION in names
    named = {settings.target, *settings.drop, *settings.text, PREDICTION, LABEL}
    return named | (LOG if is_log else set())


def _answer_names(
    names: Sequence[str] | Mapping[str, str], settings: DataSettings
) -> dict[str, str]:
    target = settings.target if settings.target in names else LABEL
    answer_columns = {"target": target, "prediction": PREDICTION}
    return {part: name for part, name in answer_columns.items() if name in names}


def _read(
    rows: Rows,
    where: str,
    features: Sequence[Column],
    answers: Mapping[str, Column],
    reference: Profile | None,
    rows_before: int = 0,
) -> tuple[Profile, Sample]:
    if len(answers) == 2 and (reference is None or reference.right):
        rows = _with_right(rows, *(answers[part] for part in ("target", "prediction")))
        answers = {**answers, "right": Column(RIGHT, "boolean")}
    columns = [*features, *answers.values()]
    if reference is None:
        counted, sample = first_counts(rows, columns, SAMPLE_ROWS)
    else:
        before = [reference.features[column.name] for column in features]
        before += [getattr(reference, part) for part in answers]
        empty = [emptied(one) for one in before]
        counted, sample = counts(rows, columns, empty, SAMPLE_ROWS, rows_before)
    number = counted[0].rows if counted else 0
    if not number:
        raise InputError(f"{where} has no rows; expected some to compare with the reference")
    by_name = dict(zip((column.name for column in features), counted, strict=False))
    parts: Any = dict(zip(answers, counted[len(features) :], strict=True))
    feature_sample = replace(sample, rows=sample.rows.select(list(by_name)))
    return Profile(number, by_name, **parts), feature_sample


def _with_right(rows: Rows, truth: Column, prediction: Column) -> Rows:
    one, other = (column.value(*sql_of(column.name, rows)) for column in (truth, prediction))
    relation = rows.relation.project(f"*, ({one}) = ({other}) AS {quoted(RIGHT)}")
    return Rows(relation, [*rows.names, RIGHT])
