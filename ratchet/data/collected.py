"""Collected requests: rows of the prediction log with their labels, which join the source.

`collect` writes them to a Parquet file. Besides the features and the target it has columns of the
log, whose names begin with "log.".
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ratchet.errors import InputError
from ratchet.progress import print_once
from ratchet.settings import DataSettings

REQUEST, USER, TIME = "log.request_id", "log.user_id", "log.time"
ARM, VERSION, WEIGHT = "log.arm", "log.model_version", "log.weight"
LOG_COLUMNS = (REQUEST, USER, TIME, ARM, VERSION, WEIGHT)


@dataclass(frozen=True)
class Collected:
    """The record of the collected rows among the training data."""

    rows: int
    since: str
    until: str
    arms: dict[str, float] = field(default_factory=dict)  # the share of each
    versions: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def with_collected(
    frame: pd.DataFrame, settings: DataSettings
) -> tuple[pd.DataFrame, Collected | None]:
    """Return the rows of the source, then the collected ones, if data.log asks for them."""
    if settings.log is None:
        return frame, None
    file = Path(settings.log.file)
    if not file.exists():
        print_once(
            f"{file} (data.log) does not exist, so only {settings.source} is read. To collect"
            " logged requests with their labels: mlflow run . -e collect"
        )
        return frame, None
    collected = read_collected(file)
    rows = _as_source(collected, frame, settings)
    return pd.concat([frame, rows], ignore_index=True), record_of(collected)


def read_collected(file: Path) -> pd.DataFrame:
    import pyarrow

    try:
        collected = pd.read_parquet(file)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{file} (data.log) cannot be read: {error}. Collect again") from None
    missing = [name for name in LOG_COLUMNS if name not in collected]
    if missing:
        raise InputError(f"{file} (data.log) has no column '{missing[0]}'; collect again")
    return collected


def record_of(collected: pd.DataFrame) -> Collected:
    times, parts = collected[TIME], (shares(collected[name]) for name in (ARM, VERSION))
    return Collected(len(collected), str(times.min()), str(times.max()), *parts)


def shares(values: pd.Series) -> dict[str, float]:
    counted = values.value_counts(normalize=True).sort_index()
    return {str(value): round(float(share), 4) for value, share in counted.items()}


def _as_source(
    collected: pd.DataFrame, frame: pd.DataFrame, settings: DataSettings
) -> pd.DataFrame:
    """Give the collected rows the columns and types of the source.

    A column of the split, or the weight, that no request has is filled from the log: the time of
    the request, its user, and its weight.
    """
    rules = settings.split
    fillings = {rules.time_column: TIME, rules.group_column: USER, settings.weight: WEIGHT}
    columns = {}
    for name, like in frame.items():
        source = str(name) if name in collected else fillings.get(str(name))
        if source is None:
            columns[name] = pd.Series(None, index=collected.index, dtype=object)
        else:
            columns[name] = _typed(collected[source], like)
    return pd.DataFrame(columns)


def _typed(values: pd.Series, like: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(like):
        times = pd.to_datetime(values, utc=True, format="ISO8601")
        return times if like.dt.tz is not None else times.dt.tz_localize(None).astype(like.dtype)
    if pd.api.types.is_string_dtype(like) and pd.api.types.is_datetime64_any_dtype(values):
        return values.astype(str)
    return values
