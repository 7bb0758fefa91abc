"""Labelled requests since the last gate, which join the audit half; the log is a real one."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet.data.dataset import Table
from ratchet.data.split import Split, split
from ratchet.evaluation.logged import rows_of
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import Record, json_text, new_request_id

START = 1_790_000_000.0


@dataclass
class Gates:
    """A registry that is asked when the last gate was, and when prod moved."""

    gated_at: float = 0.0
    prod_moved: list[str] = field(default_factory=list)
    model: str = "fruit"

    def versions(self) -> list[Any]:
        return [SimpleNamespace(tags={"gated_at": str(self.gated_at)}), SimpleNamespace(tags={})]

    def ledger(self) -> list[Any]:
        return [SimpleNamespace(time=time, moves={"prod": (None, "1")}) for time in self.prod_moved]


def table() -> Split:
    rng = np.random.default_rng(0)
    features = pd.DataFrame(
        {
            "weight": rng.normal(size=200),
            "colour": pd.Series(rng.choice(["red", "green"], 200), dtype=object),
            "picked": pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(200), "D"),
        }
    ).astype({"picked": "datetime64[us]"})
    target = rng.choice(np.array(["apple", "pear"], dtype=object), 200).astype(str)
    kinds: Any = {"weight": "numeric", "colour": "categorical", "picked": "date"}
    slices = features[["colour"]].astype(str)
    return split(Table("fruit.csv", features, target, kinds, slices), 0.2, seed=1)


def request(place: int, label: str | None, user: str | None = None, **features: Any) -> Record:
    values = {"weight": float(place), "colour": "red", "picked": "2026-03-01T00:00:00Z"} | features
    time = START + place
    return Record(
        request_id=new_request_id(time),
        time=time,
        user_id=user or f"u{place}",
        arm="A",
        model="fruit",
        model_version="1",
        prod_version="1",
        staging_version=None,
        assigned_arm="A",
        split=0.0,
        features=json_text(values),
        prediction='"apple"',
        probabilities=None,
        latency_ms=1.0,
        label=None if label is None else json_text(label),
        label_time=time,
    )


def rows(folder: Path, requests: list[Record], registry: Gates | None = None) -> Any:
    address = f"sqlite:///{folder}/predictions.db"
    log = PredictionLog(address)
    log.append_now(requests)
    log.close()
    return rows_of(table(), registry or Gates(), address)  # type: ignore[arg-type]


def test_labelled_requests_join_the_holdout_with_the_types_of_the_table(tmp_path: Path):
    result = rows(tmp_path, [request(1, "pear"), request(2, "apple", colour=None)])
    assert result.logged == 2
    assert result.features["weight"].tolist()[-2:] == [1.0, 2.0]
    assert result.features["colour"].tolist()[-2:] == ["red", None]
    assert result.features["picked"].iloc[-1] == pd.Timestamp("2026-03-01")
    assert result.features.dtypes.equals(table().holdout[0].dtypes)
    assert result.target.tolist()[-2:] == ["pear", "apple"]
    assert result.slices["colour"].tolist()[-2:] == ["red", "None"]
    assert len(result.features) == len(result.target) == len(table().holdout[1]) + 2


def test_only_the_first_labelled_request_of_a_user_with_a_known_label_joins(tmp_path: Path):
    requests = [
        request(1, None, user="ann"),
        request(2, "pear", user="ann"),
        request(3, "apple", user="ann"),
        request(4, "plum", user="bob"),
    ]
    assert rows(tmp_path, requests).features["weight"].tolist()[-1:] == [2.0]
    assert rows_of(table(), Gates(), f"sqlite:///{tmp_path}/predictions.db").logged == 1  # type: ignore[arg-type]


def test_a_row_that_the_table_holds_does_not_join(tmp_path: Path):
    known = table().table
    first = known.features.iloc[0]
    copied = request(
        1,
        str(known.target[0]),
        weight=float(first["weight"]),
        colour=first["colour"],
        picked=first["picked"].isoformat() + "Z",
    )
    assert rows(tmp_path, [copied, request(2, "pear")]).logged == 1


@pytest.mark.parametrize(
    "registry",
    [Gates(gated_at=START + 2.5), Gates(prod_moved=["2026-09-21T14:13:22.500+00:00"])],
)
def test_requests_before_the_last_gate_or_the_last_move_of_prod_do_not_join(
    tmp_path: Path, registry: Gates
):
    requests = [request(place, "pear") for place in (1, 2, 3, 4)]
    result = rows(tmp_path, requests, registry)
    assert (result.logged, result.features["weight"].tolist()[-2:]) == (2, [3.0, 4.0])


def test_logged_rows_join_also_without_slices(tmp_path: Path):
    plain = table().table
    sliceless = replace(table(), table=replace(plain, slices=plain.slices[[]]))
    address = f"sqlite:///{tmp_path}/predictions.db"
    rows(tmp_path, [request(1, "pear"), request(2, "apple")])
    result: Any = rows_of(sliceless, Gates(), address)  # type: ignore[arg-type]
    assert (result.logged, result.slices.shape) == (2, (len(result.target), 0))


def test_a_logged_row_has_the_mean_weight_of_the_holdout(tmp_path: Path):
    weighted = replace(table(), table=replace(table().table, weights=np.arange(200.0)))
    address = f"sqlite:///{tmp_path}/predictions.db"
    rows(tmp_path, [request(1, "pear")])
    result: Any = rows_of(weighted, Gates(), address)  # type: ignore[arg-type]
    assert result.weights[-1] == pytest.approx(weighted.holdout_weights.mean())


def test_the_holdout_judges_alone_if_there_is_no_log(tmp_path: Path):
    result = rows_of(table(), Gates(), f"sqlite:///{tmp_path}/none.db")  # type: ignore[arg-type]
    assert (result.logged, len(result.target)) == (0, len(table().holdout[1]))
