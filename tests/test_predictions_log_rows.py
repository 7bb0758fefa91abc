"""The prediction log as current data, written by the log itself, in SQLite."""

import time
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from ratchet.errors import InputError
from ratchet.predictions import feature_table as feature_table_module
from ratchet.predictions.feature_table import feature_table
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import json_text
from ratchet.profile.profile import to_json
from ratchet.profile.reading import read_current, read_training, with_answers
from tests.clusters import new_cluster
from tests.records import a_record
from tests.tables import settings

PROJECT = settings("unused.csv")
KINDS = {"age": "numeric", "city/town": "categorical", "joined": "date"}
DAY = timedelta(days=1).total_seconds()


def frame(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(size=rows),
            "city/town": rng.choice(["Oslo", 'it\'s ~ "Bergen"'], rows),
            "joined": pd.Timestamp(2024, 1, 1) + pd.to_timedelta(np.arange(rows), "D"),
        }
    )


def reference():
    classes = np.resize(["a", "b"], 300)
    seen = read_training(frame(), classes, KINDS)
    return with_answers(seen, classes, np.resize(["a", "b", "b"], 300)).profile


def append(url, rows, at=None, version="5", prediction="a", label=None, model="iris"):
    at = at or time.time() - 60
    known = {} if label is None else {"label": json_text(label), "label_time": at}
    log = PredictionLog(url)
    log.append_now(
        [
            a_record(
                f"user {place}",
                at,
                features=features,
                model=model,
                model_version=version,
                prediction=json_text(prediction),
                **known,
            )
            for place, features in enumerate(rows)
        ]
    )
    log.close()


def features_of(table):
    texts = table.astype({"joined": str}).to_dict("records")
    return [json_text(row) for row in texts]


def read(url, days=7.0, version="5", one_per_user=False):
    with feature_table(url, "iris", days, version, one_per_user) as rows:
        return read_current(rows, PROJECT, reference())


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/predictions.db"


@pytest.mark.slow
def test_a_log_on_postgresql_is_read_in_batches(url, tmp_path, monkeypatch):
    monkeypatch.setenv("RATCHET_LOG_JOURNAL", str(tmp_path / "journal.db"))
    monkeypatch.setattr(feature_table_module, "ROWS_PER_BATCH", 7)
    with new_cluster() as cluster:
        server = cluster.create("log")
        for address in (url, server):
            append(address, features_of(frame(seed=1)), label="b")
        (one, _), (other, _) = read(url), read(server)
    assert to_json(one.profile) == to_json(other.profile)
    assert other.profile.rows == 300


def test_the_log_has_the_profile_of_its_requests(url):
    append(url, features_of(frame(seed=1)))
    data, schema = read(url)
    direct, _ = read_current(frame(seed=1), PROJECT, reference())
    assert schema.sentences == []
    assert data.profile.rows == 300
    for name, counts in direct.profile.features.items():
        assert data.profile.features[name].counts.tolist() == counts.counts.tolist()
        assert data.profile.features[name].missing == 0


def test_missing_values_are_counted_and_an_unknown_feature_is_named(url):
    append(url, [json_text({"age": None, "city/town": "Oslo", "joined": "2024-01-05", "x": 1})] * 3)
    data, schema = read(url)
    assert data.profile.features["age"].missing == 3
    assert schema.extra == ["x"]


def test_only_predictions_of_the_reference_model_and_existing_labels_count(url):
    rows = features_of(frame(rows=40))
    append(url, rows[:20], prediction="a", label="a")
    append(url, rows[20:30], prediction="a", label="b")
    append(url, rows[30:35], prediction="b")
    append(url, rows[35:], prediction="b", label="b", version="6")
    data, _ = read(url)
    prediction, right = data.profile.prediction, data.profile.right
    assert dict(zip(prediction.bins.names, prediction.counts.tolist(), strict=False)) == {
        "a": 30,
        "b": 5,
    }
    assert right.share_of("true") == pytest.approx(20 / 30)
    assert data.profile.target.missing == 5


def test_older_requests_and_other_models_are_left_out(url):
    rows = features_of(frame(rows=30))
    append(url, rows[:10])
    append(url, rows[10:20], at=time.time() - 8 * DAY)
    append(url, rows[20:], model="wine")
    assert read(url)[0].profile.rows == 10
    assert read(url, days=9.0)[0].profile.rows == 20


def test_a_log_without_requests_is_an_error(url):
    append(url, features_of(frame(rows=3)), at=time.time() - 30 * DAY)
    with pytest.raises(InputError, match=r"holds no request to model 'iris' of the last 7 days"):
        read(url)


def test_a_log_that_does_not_exist_is_an_error_and_is_not_created(url, tmp_path):
    with pytest.raises(InputError, match="no such file; expected the address of a prediction log"):
        read(url)
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_a_log_is_an_error(url, tmp_path):
    (tmp_path / "predictions.db").write_text("no database at all, but text" * 100)
    with pytest.raises(InputError, match="cannot be read as a prediction log"):
        read(url)


def test_a_missing_feature_is_an_error(url):
    append(url, [json_text({"age": 1.0, "city/town": "Oslo"})] * 3)
    with pytest.raises(InputError, match="has no column 'joined', which the model needs"):
        read(url)


def test_one_request_of_each_user_counts_and_it_is_chosen_at_random(url):
    rows = features_of(frame(rows=40))
    append(url, rows, prediction="a")
    append(url, rows[:10], prediction="b", label="a")
    append(url, rows[:10], prediction="b", label="b")
    profile = read(url, one_per_user=True)[0].profile
    assert read(url)[0].profile.rows == 60
    assert profile.rows == 40
    assert profile.prediction.counts.sum() == 40
    assert 1 <= profile.prediction.counts[1] <= 10
    assert profile.target.missing >= 30
