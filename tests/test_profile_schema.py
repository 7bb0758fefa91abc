"""Changes of the columns themselves are reported before any statistic."""

import numpy as np
import pandas as pd
import pytest

from ratchet.errors import InputError
from ratchet.profile.reading import read_current, read_training
from tests.tables import settings

PROJECT = settings("unused.csv")
KINDS = {"age": "numeric", "city": "categorical", "code": "categorical", "joined": "date"}


def frame(rows=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.normal(size=rows),
            "city": rng.choice(["Oslo", "Bergen"], rows),
            "code": rng.choice([1.0, 2.0], rows),
            "joined": pd.Timestamp(2024, 1, 1) + pd.to_timedelta(np.arange(rows), "D"),
        }
    )


REFERENCE = read_training(frame(), np.resize(["a", "b"], 200), KINDS).profile


def sentences(now):
    return read_current(now, PROJECT, REFERENCE)[1].sentences


def test_the_same_columns_in_another_order_are_no_change():
    assert sentences(frame()[["joined", "code", "age", "city"]]) == []


def test_a_missing_column_is_an_error_that_names_it():
    with pytest.raises(InputError, match="has no column 'age', which the model needs"):
        sentences(frame().drop(columns="age"))


def test_a_column_in_another_spelling_is_suggested():
    with pytest.raises(InputError, match=r"has no column 'city'.*did you mean 'City'"):
        sentences(frame().rename(columns={"city": "City"}))


def test_a_file_without_a_common_column_is_an_error():
    with pytest.raises(
        InputError, match=r"no column in common .* Check that this is the right file"
    ):
        sentences(pd.DataFrame({"x": [1.0]}))


def test_a_new_column_is_named_but_target_prediction_and_label_are_not():
    now = frame().assign(height=1.0, outcome="a", prediction="a", label="a")
    assert sentences(now) == ["columns that the model does not know: height"]


def test_numbers_that_became_text_are_named_with_their_share():
    now = frame().astype({"age": object})
    now.loc[:49, "age"] = "unknown"
    data, schema = read_current(now, PROJECT, REFERENCE)
    assert schema.sentences == ["`age`: numeric in the reference; 25.0% of the values now are not"]
    assert data.profile.features["age"].missing == 50


def test_numbers_written_as_text_are_numbers():
    assert sentences(frame().astype({"age": str})) == []


def test_dates_that_became_text_are_named():
    now = frame().assign(joined="some day")
    assert sentences(now) == ["`joined`: date in the reference; 100.0% of the values now are not"]


def test_categories_in_another_spelling_are_named_with_the_known_one():
    now = frame()
    now["city"] = now["city"].replace("Oslo", "OSLO ")
    assert sentences(now) == ["`city`: other spellings, 'OSLO ' for 'Oslo'"]


def test_the_codes_1_and_1_0_are_the_same_category():
    now = frame().astype({"code": int})
    data, schema = read_current(now, PROJECT, REFERENCE)
    assert schema.sentences == []
    assert data.profile.features["code"].unseen == 0


def test_columns_that_differ_only_in_case_are_two_columns(tmp_path):
    both = frame().assign(AGE=7.0)
    both.to_parquet(tmp_path / "both.parquet")
    data, schema = read_current(str(tmp_path / "both.parquet"), PROJECT, REFERENCE)
    assert schema.extra == ["AGE"]
    assert data.profile.features["age"].counts.sum() == 200
    assert (data.sample["age"].to_numpy() != 7.0).all()
