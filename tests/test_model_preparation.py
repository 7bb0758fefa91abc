"""The predictions of a built model for raw rows, whichever types the rows are served in."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from ratchet.data.dataset import Table, load
from tests.estimators import model
from tests.tables import mixed_table, settings, write_text

PREPARED = [
    "HistGradientBoostingClassifier",  # boosted
    "RandomForestClassifier",  # trees
    "LogisticRegression",  # scaled
    "GaussianNB",  # dense
    "ComplementNB",  # positive
    "BernoulliNB",  # binned
    "LGBMClassifier",
]


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return mixed_table(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module", params=PREPARED)
def fitted(request: pytest.FixtureRequest, mixed: Table) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(request.param, mixed).fit(mixed.features, mixed.target)


def test_a_model_predicts_the_same_for_all_types_that_rows_are_served_in(
    fitted: Any, mixed: Table
) -> None:
    rows = mixed.features.head(20)
    expected = fitted.predict_proba(rows)
    served = {
        "texts as pandas 3 reads them": rows.astype({"city": "str", "newsletter": "str"}),
        "texts missing as NaN": rows.assign(city=rows.city.where(rows.city.notna(), np.nan)),
        "categories": rows.astype({"city": "category"}),
        "booleans as objects": rows.astype({"member": object}),
        "dates in nanoseconds": rows.astype(
            {"joined": "datetime64[ns]", "last_seen": "datetime64[ns]"}
        ),
        "whole numbers": rows.astype({"visits": "int64", "branch": "int64"}),
        "another order of columns": rows[rows.columns[::-1]],
        "columns it does not know": rows.assign(more=1),
    }
    for what, frame in served.items():
        np.testing.assert_array_equal(fitted.predict_proba(frame), expected, err_msg=what)


def test_a_model_predicts_for_one_row_from_json(fitted: Any, mixed: Table) -> None:
    expected = fitted.predict_proba(mixed.features.head(8))
    for number, row in enumerate(mixed.features.head(8).to_dict("records")):
        np.testing.assert_allclose(
            fitted.predict_proba(pd.DataFrame([row])), expected[[number]], rtol=1e-9
        )


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_model_predicts_for_a_row_of_missing_values(
    fitted: Any, mixed: Table, missing: object
) -> None:
    row = pd.DataFrame([dict.fromkeys(mixed.features, missing)])
    assert fitted.predict_proba(row).sum() == pytest.approx(1)


def test_a_category_unseen_in_training_is_answered(fitted: Any, mixed: Table) -> None:
    rows = mixed.features.head(3).assign(city="Atlantis", branch=999.0, newsletter="maybe")
    assert fitted.predict_proba(rows).sum(axis=1) == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("estimator", PREPARED)
def test_thousands_of_categories_give_a_limited_number_of_columns(
    estimator: str, tmp_path: Path
) -> None:
    rows = [f"{n},user {n},{'left' if n % 2 else 'stayed'}" for n in range(3000)]
    path = write_text(tmp_path / "a.csv", "n,user,y\n" + "\n".join(rows))
    table = load(settings(path, "y"))
    prepare = model(estimator, table)["prepare"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert prepare.fit_transform(table.features).shape[1] <= 120


def test_the_columns_of_a_fitted_model_have_names(fitted: Any) -> None:
    assert len(fitted[:-1].get_feature_names_out()) >= 9
