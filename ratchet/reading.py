"""A reference or current data, read: the profile, and the sample that dependence is seen in.

A reference is made when a model is trained, and travels with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet import source
from ratchet.config import DataSettings, Kind
from ratchet.counting import Column, column, counts, first_counts, quoted, types
from ratchet.errors import InputError
from ratchet.profile import Counts, Profile, emptied, from_json, to_json
from ratchet.schema import Schema, check_columns, schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow

FOLDER = "profile"  # beside the model, in its run
SAMPLE = 4000  # rows
PREDICTION, LABEL, RIGHT = "prediction", "label", "(right)"
LOG = ("request_id", "timestamp", "user_id", "variant", "model_version", PREDICTION, LABEL)


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


def read_training(
    features: pd.DataFrame, kinds: Mapping[str, Kind], target: np.ndarray,
    held_out: np.ndarray, predicted: np.ndarray,
) -> Reading:  # fmt: skip
    """Features and classes of the training rows; answers from the holdout, which it never saw."""
    seen, sample = _first(features, kinds)
    kind: Kind = "boolean" if target.dtype.kind == "b" else "categorical"
    classes, _ = _first(pd.DataFrame({LABEL: target}), {LABEL: kind})
    asked = pd.DataFrame({PREDICTION: predicted, RIGHT: predicted == held_out})
    answers, _ = _first(asked, {PREDICTION: kind, RIGHT: "boolean"})
    answered: Any = (classes[LABEL], answers[PREDICTION], answers[RIGHT])
    return Reading(Profile(len(features), seen, *answered), sample)


def _first(
    frame: pd.DataFrame, kinds: Mapping[str, Kind]
) -> tuple[dict[str, Counts], "pyarrow.Table"]:
    relation = source.connect().from_arrow(source.pyarrow_table(frame))
    columns = [column(name, kind, kinds[name]) for name, kind in types(relation).items()]
    found, sample = first_counts(relation, columns, SAMPLE)
    return dict(zip((one.name for one in columns), found, strict=True)), sample


def read_reference(address: str, settings: DataSettings) -> Reading:
    """A file as the reference, in place of what a model was trained on."""
    relation = source.relation(address, settings.missing, source.connect())
    known = types(relation)
    set_aside = _not_features(known, settings)
    features = [column(name, kind, settings.kinds.get(name)) for name, kind in known.items()
                if name not in set_aside]  # fmt: skip
    answers = {
        part: column(name, known[name], "boolean" if known[name] == "BOOLEAN" else "categorical")
        for part, name in _answer_names(known, settings).items()
    }
    return _read(relation, address, features, answers, None)


def read_current(
    address: str, settings: DataSettings, reference: Profile
) -> tuple[Reading, Schema]:
    dates = [name for name, counts in reference.features.items() if counts.kind == "date"]
    relation = source.relation(address, settings.missing, source.connect(), detected=dates)
    return read_relation(relation, address, settings, reference)


def read_relation(
    relation: "duckdb.DuckDBPyRelation", where: str, settings: DataSettings, reference: Profile
) -> tuple[Reading, Schema]:
    """Counted in the reference's bins."""
    known = types(relation)
    check_columns(known, reference, where)
    features = [_as_before(name, counts) for name, counts in reference.features.items()]
    answers = {
        part: _as_before(name, before)
        for part, name in _answer_names(known, settings).items()
        if (before := getattr(reference, part)) and name not in reference.features
    }
    reading = _read(relation, where, features, answers, reference)
    named = {one.name: one for one in features}
    set_aside = _not_features(known, settings)
    return reading, schema(known, named, reading.profile.features, set_aside)


def _as_before(name: str, counts: Counts) -> Column:
    return Column(name, counts.kind, getattr(counts, "numbers", False))


def _not_features(known: Mapping[str, str], settings: DataSettings) -> set[str]:
    is_log = "request_id" in known and PREDICTION in known
    return {settings.target, *settings.drop, PREDICTION, LABEL, *(LOG if is_log else ())}


def _answer_names(known: Mapping[str, str], settings: DataSettings) -> dict[str, str]:
    target = settings.target if settings.target in known else LABEL
    names = {"target": target, "prediction": PREDICTION}
    return {part: name for part, name in names.items() if name in known}


def _read(
    relation: "duckdb.DuckDBPyRelation", where: str, features: Sequence[Column],
    answers: Mapping[str, Column], like: Profile | None,
) -> Reading:  # fmt: skip
    if len(answers) == 2 and (like is None or like.right):
        relation = relation.project(f"*, {_right(relation, answers)} AS {quoted(RIGHT)}")
        answers = {**answers, "right": Column(RIGHT, "boolean")}
    columns = [*features, *answers.values()]
    with source.readable(where):
        if like is None:
            found, sample = first_counts(relation, columns, SAMPLE)
        else:
            before = [like.features[one.name] for one in features]
            before += [getattr(like, part) for part in answers]
            found, sample = counts(relation, columns, [emptied(one) for one in before], SAMPLE)
    rows = found[0].rows if found else 0
    if not rows:
        raise InputError(f"{where} has no rows (a log: no requests); nothing to compare yet")
    named = dict(zip((one.name for one in features), found, strict=False))
    parts: Any = dict(zip(answers, found[len(features) :], strict=True))
    return Reading(Profile(rows, named, **parts), sample.select(list(named)))


def _right(relation: "duckdb.DuckDBPyRelation", answers: Mapping[str, Column]) -> str:
    known = types(relation)
    truth, said = (answers[p].value(known[answers[p].name]) for p in ("target", "prediction"))
    return f"({truth}) = ({said})"
