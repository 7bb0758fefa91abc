"""Labelled requests since the last gate: rows of the audit that nobody has selected on.

The holdout has judged many versions, and each gate on it wears it out a little. Requests that came
after the last gate and after the last move of prod have chosen neither the candidates nor prod.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from ratchet.columns import column_type, from_text
from ratchet.data.dataset import Table
from ratchet.data.split import Split
from ratchet.errors import InputError
from ratchet.predictions.pages import open_log, pages
from ratchet.predictions.window import Window
from ratchet.registry.registry import Registry

MOST_ROWS = 20_000
GATED_AT = "gated_at"  # the tag of a version: when the gate judged it, in seconds since 1970


@dataclass(frozen=True)
class Rows:
    """The rows that judge the candidates: the holdout, then the logged rows."""

    features: pd.DataFrame
    target: np.ndarray
    slices: pd.DataFrame
    logged: int = 0
    weights: np.ndarray | None = None


def holdout_rows(split: Split) -> Rows:
    slices = split.table.slices[split.in_holdout].reset_index(drop=True)
    return Rows(*split.holdout, slices, weights=split.holdout_weights)


def rows_of(split: Split, registry: Registry, log_url: str) -> Rows:
    """Return the holdout, and the labelled requests since the last gate if there is a log."""
    rows = holdout_rows(split)
    try:
        logged = logged_rows(log_url, registry.model, split.table, unselected_since(registry))
    except InputError:  # without a readable log, the versions are judged on the holdout only
        return rows
    if not logged.logged:
        return rows
    return Rows(
        pd.concat([rows.features, logged.features], ignore_index=True),
        np.concatenate([rows.target, logged.target]),
        pd.concat([rows.slices, logged.slices], ignore_index=True),
        logged.logged,
        _with_mean_weight(rows.weights, logged.logged),
    )


def _with_mean_weight(weights: np.ndarray | None, more: int) -> np.ndarray | None:
    """Return the weights of the holdout, then their mean for each of `more` logged rows."""
    return None if weights is None else np.append(weights, np.full(more, weights.mean()))


def unselected_since(registry: Registry) -> float:
    """Return the time of the last gate or of the last move of prod, whichever is later."""
    gates = [float(one.tags[GATED_AT]) for one in registry.versions() if GATED_AT in one.tags]
    moves = [
        datetime.fromisoformat(line.time).timestamp()
        for line in registry.ledger()
        if "prod" in line.moves
    ]
    return max([0.0, *gates, *moves])


def logged_rows(url: str, model: str, table: Table, since: float) -> Rows:
    """Return the first labelled request of each user, at most 20,000.

    Requests with a label that the table lacks are left out, and so are rows that the table holds:
    a candidate may have been trained on them.
    """
    first: dict[str, tuple[dict[str, object], object]] = {}
    known = set(table.classes.tolist())
    with open_log(url) as engine:
        read = pages(engine, Window(model=model, since=since), ("user_id", "features", "label"))
        labelled = (row for page in read for row in page if row[2] is not None)
        for user, features, label, _ in labelled:
            if user not in first and json.loads(label) in known:
                first[user] = json.loads(features), json.loads(label)
            if len(first) == MOST_ROWS:
                break
    rows = _typed(list(first.values()), table)
    is_new = ~np.isin(_hashes(rows, table), table.row_hashes)
    return Rows(
        rows.features[is_new].reset_index(drop=True),
        rows.target[is_new],
        rows.slices[is_new].reset_index(drop=True),
        int(is_new.sum()),
    )


def _typed(requests: list[tuple[dict[str, object], object]], table: Table) -> Rows:
    """Return the requests with the types of the table; a slice that a request lacks is "nan"."""
    columns = {
        name: from_text(
            pd.Series([features.get(name) for features, _ in requests], dtype=object),
            column_type(kind, table.features[name].dtype),
        )
        for name, kind in table.kinds.items()
    }
    slices = {
        str(name): [str(features.get(str(name), "nan")) for features, _ in requests]
        for name in table.slices
    }
    target = np.array([label for _, label in requests], dtype=table.target.dtype)
    return Rows(pd.DataFrame(columns), target, pd.DataFrame(slices, index=range(len(requests))))


def _hashes(rows: Rows, table: Table) -> np.ndarray:
    return replace(table, features=rows.features, target=rows.target).row_hashes
