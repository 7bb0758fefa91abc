"""The labelled and mature requests of a prediction log, as a table to train on."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from ratchet.contract.checking import Result, check, rows_that_break
from ratchet.contract.rules import contract_of
from ratchet.data.collected import ARM, LOG_COLUMNS, REQUEST, TIME, USER, VERSION, WEIGHT, shares
from ratchet.data.source import of_frame
from ratchet.errors import InputError
from ratchet.predictions.reading import read_log
from ratchet.predictions.window import Window
from ratchet.settings import Settings, seconds

COLUMNS = (
    "request_id",
    "time",
    "user_id",
    "arm",
    "model_version",
    "prediction",
    "label",
    "features",
)
RENAMED = {"request_id": REQUEST, "user_id": USER, "arm": ARM, "model_version": VERSION}
FEWER = 0.5  # a prediction whose requests are labelled so much less often is warned of


@dataclass(frozen=True)
class Collection:
    """The table, and what was left out of it and why."""

    table: pd.DataFrame
    requests: int  # in the window
    immature: int
    unlabelled: int
    refused: int  # rows that break the contract
    broken: tuple[Result, ...]  # the rules that they break
    arms: dict[str, float]
    versions: dict[str, float]
    labelled_by_prediction: dict[str, float]

    @property
    def warnings(self) -> list[str]:
        warnings = []
        if len(self.versions) == 1:
            (version,) = self.versions
            warnings.append(
                f"Warning: all collected requests were answered by v{version}. If its answers"
                " decide who gets a label, a model trained on these rows alone learns only what"
                " that model let through"
            )
        shares_of = self.labelled_by_prediction
        if shares_of and min(shares_of.values()) < FEWER * max(shares_of.values()):
            fewest, most = (choose(shares_of, key=shares_of.__getitem__) for choose in (min, max))
            warnings.append(
                f"Warning: {shares_of[fewest]:.1%} of the requests answered '{fewest}' have a"
                f" label, and {shares_of[most]:.1%} of those answered '{most}'. The rows are not a"
                " fair sample of all requests"
            )
        return warnings


def start_of_window(since: str) -> float:
    """Return the time from a duration, such as 90d, or a date."""
    if re.fullmatch(r"[\d.]+[smhdw]", since):
        return time.time() - seconds(since)
    try:
        begin = datetime.fromisoformat(since)
    except ValueError:
        raise InputError(
            f"since={since}: expected a duration, such as 90d, or a date, such as 2026-01-31"
        ) from None
    return (begin if begin.tzinfo else begin.replace(tzinfo=UTC)).timestamp()


def collect(source: str, settings: Settings, since: float | None) -> Collection:
    rows = read_log(source, Window(model=settings.model, since=since), COLUMNS)
    frame = rows.frame[~rows.frame["request_id"].duplicated()]
    mature = frame["time"] + 3600 * settings.promotion.maturity_hours <= rows.known_until
    labelled = mature & frame["label"].notna()
    table, broken = _without_broken_rows(_table(frame[labelled], settings), settings)
    by_prediction = labelled[mature].groupby(frame["prediction"][mature].map(str)).mean()
    return Collection(
        table,
        len(frame),
        int((~mature).sum()),
        int((mature & ~labelled).sum()),
        int(labelled.sum()) - len(table),
        broken,
        shares(table[ARM]),
        shares(table[VERSION]),
        {str(name): float(share) for name, share in by_prediction.items()},
    )


def _table(frame: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return a column for each feature, the target and the columns of the log.

    A user counts as one row: the weight is 1 divided by the number of the user's rows.
    """
    features = pd.DataFrame(frame["features"].tolist(), index=range(len(frame)))
    features[settings.data.target] = frame["label"].to_numpy()
    log = frame[list(RENAMED)].rename(columns=RENAMED).reset_index(drop=True)
    log[TIME] = pd.to_datetime(frame["time"].to_numpy(), unit="s").astype("datetime64[us]")
    log[WEIGHT] = 1.0 / log.groupby(USER)[USER].transform("size")
    return pd.concat([features, log[list(LOG_COLUMNS)]], axis="columns")


def _without_broken_rows(
    table: pd.DataFrame, settings: Settings
) -> tuple[pd.DataFrame, tuple[Result, ...]]:
    """Leave out the rows that break the contract: one odd request must not stop the training."""
    contract = contract_of(settings.data)
    if contract is None or table.empty:
        return table, ()
    rows = of_frame(table)
    broken = tuple(
        one for one in check(rows, contract, "the log", only_known=True) if not one.passed
    )
    kept = ~np.isin(np.arange(len(table)), rows_that_break(rows, contract))
    if not kept.any():
        raise InputError(
            f"Every collected row breaks the contract: {broken[0].sentence}. Mend the rule, or the"
            " requests"
        )
    return table[kept].reset_index(drop=True), broken
