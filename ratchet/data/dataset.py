"""A labelled table: its features, its target, and the columns that split and weigh the rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from ratchet.columns import Kind, as_kind
from ratchet.data import source
from ratchet.data.collected import Collected, with_collected
from ratchet.data.kinds import kinds_of
from ratchet.data.row_columns import groups_of, times_of, weights_of
from ratchet.data.target import labels_of
from ratchet.errors import InputError, nearest
from ratchet.progress import print_once
from ratchet.settings import DataSettings


@dataclass(frozen=True)
class Table:
    """The features, with one pandas type per kind (see `ratchet.columns`), and the target."""

    name: str
    features: pd.DataFrame
    target: np.ndarray  # text, bool or int64
    kinds: dict[str, Kind]
    slices: pd.DataFrame  # the columns of data.slices, also those that data.drop removes
    dropped: pd.DataFrame = field(default_factory=pd.DataFrame)  # the columns of data.drop
    times: np.ndarray | None = None  # of data.split, datetime64[us]
    groups: np.ndarray | None = None  # of data.split, a hash for each group
    weights: np.ndarray | None = None  # of data.weight
    collected: Collected | None = None  # the rows of data.log, which are the last ones

    @cached_property
    def classes(self) -> np.ndarray:
        return np.unique(self.target)

    @cached_property
    def row_hashes(self) -> np.ndarray:
        frame = pd.concat([self.features, pd.Series(self.target, name="(target)")], axis="columns")
        return pd.util.hash_pandas_object(frame, index=False).to_numpy()


def load(settings: DataSettings) -> Table:
    frame = source.read(settings)
    _require_columns(frame, settings)
    frame, collected = with_collected(frame, settings)
    labelled = frame[settings.target].notna()
    if not labelled.all():
        left_out = f"{(~labelled).sum()} of {len(frame)} rows have no '{settings.target}'"
        print_once(f"{settings.source}: {left_out} and are left out")
        frame = frame[labelled].reset_index(drop=True)
    columns = {str(name): column for name, column in frame.items() if name not in settings.drop}
    columns.pop(settings.weight or "", None)  # a request to the service has no weight
    slices = frame[list(settings.slices)].astype(str)
    dropped = frame[list(settings.drop)]
    row_columns = times_of(frame, settings), groups_of(frame, settings), weights_of(frame, settings)
    del frame
    target = columns.pop(settings.target)
    if target.empty:
        raise InputError(
            f"{settings.source} has no row with a value of '{settings.target}'; add some"
        )
    if not columns:
        raise InputError(
            f"{settings.source} has no column besides '{settings.target}', the target; a model"
            " needs at least one. If data.drop names the others, keep one"
        )
    labels = labels_of(target, settings)
    kinds = kinds_of(columns, settings)
    if not kinds:
        raise InputError(
            f"{settings.source}: every column besides '{settings.target}' is left out; keep one by"
            " data.kinds or data.text"
        )
    features = {name: _canonical(columns.pop(name), kind, settings) for name, kind in kinds.items()}
    frame = pd.DataFrame(features, copy=False)
    more = (slices, dropped, *row_columns, collected)
    return Table(settings.source, frame, labels, kinds, *more)


def _require_columns(frame: pd.DataFrame, settings: DataSettings) -> None:
    named: dict[str, Sequence[str | None]] = {
        "data.target": [settings.target],
        "data.drop": settings.drop,
    }
    named |= {"data.kinds": list(settings.kinds), "data.text": list(settings.text)}
    named |= {"data.slices": settings.slices, "data.weight": [settings.weight]}
    named |= {"data.split.column": [settings.split.column]}
    named |= {"data.split.group": [settings.split.group]}
    for key, names in named.items():
        for name in filter(None, names):
            if name not in frame:
                raise InputError(
                    f"{settings.source} has no column '{name}' ({key});"
                    f" {nearest(name, frame.columns)}"
                )
    for key in ("data.weight", "data.split.column", "data.split.group"):
        if settings.target in named[key]:
            raise InputError(f"'{settings.target}' is the target and {key}; name another column")
    if settings.target in settings.drop:
        raise InputError(f"'{settings.target}' is the target and stands in data.drop; choose one")


def _canonical(column: pd.Series, kind: Kind, settings: DataSettings) -> pd.Series:
    try:
        values = as_kind(column, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"Column '{column.name}' cannot be read as {kind} (data.kinds): {error}"
        ) from None
    if values.isna().all():
        raise InputError(
            f"{settings.source}: every value of column '{column.name}' is missing;"
            " fill it or name it under data.drop"
        )
    infinite = int(values.isna().sum() - column.isna().sum())
    if infinite and kind == "numeric":
        print_once(
            f"{settings.source}: {infinite} infinite values of '{column.name}' count as missing"
        )
    return values
