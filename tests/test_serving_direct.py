"""The direct path gives the same answers as the pipeline that it replaces."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from ratchet.columns import Column
from ratchet.data.dataset import load
from ratchet.model.estimators import ALLOWED
from ratchet.model.spec import ModelSpec, build
from ratchet.serving import trees
from ratchet.serving.card import CARD, Card
from ratchet.serving.estimators import FORMS as FORMS_OF_ESTIMATORS
from ratchet.serving.estimators import LINEAR, LOGISTIC, REASONS, same
from ratchet.serving.served_model import ServedModel
from ratchet.settings import DataSettings

COLUMNS = {
    "plan": "string",
    "joined": "datetime",
    "newsletter": "boolean",
    "visits": "double",
    "floor": "double",
}
OUTCOMES = ('"100 %s', "{left}, or not", "stays")
MODELS = {
    "LogisticRegression": {"max_iter": 500},
    "RandomForestClassifier": {"n_estimators": 5},
    "ExtraTreesClassifier": {"n_estimators": 5},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "GradientBoostingClassifier": {"n_estimators": 5},
    "LGBMClassifier": {"n_estimators": 5},
    "XGBClassifier": {"n_estimators": 5},
    "DecisionTreeClassifier": {},
    "KNeighborsClassifier": {},
    "BernoulliNB": {},
    "MultinomialNB": {},
    "RidgeClassifier": {},
    "SVC": {"probability": False},
    "MLPClassifier": {"max_iter": 20},
    "GaussianNB": {},
    "ExtraTreeClassifier": {"max_depth": 6},
}
FORMS = {
    "LogisticRegression": "direct, linear",
    "RandomForestClassifier": "direct, flat trees",
    "ExtraTreesClassifier": "direct, flat trees",
    "HistGradientBoostingClassifier": "direct, flat trees",
    "GradientBoostingClassifier": "direct, flat trees",
    "LGBMClassifier": "direct, booster",
    "XGBClassifier": "direct, booster",
    "MLPClassifier": "direct, formula",
    "GaussianNB": "direct, formula",
    "DecisionTreeClassifier": "direct, tree",
    "ExtraTreeClassifier": "direct, tree",
    "RidgeClassifier": "direct, linear",
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["basic", "plus", "rare", "unseen", "", None]),
        st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),
        st.none() | st.booleans(),
        st.none() | st.floats(-1e6, 1e6),
        st.sampled_from([0.0, 1.0, 2.0, 3.0, 99.0, None]),
    ),
    min_size=1,
    max_size=5,
)


def customers(classes: int, rows: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "plan": rng.choice(["basic", "plus", "rare"], rows, p=[0.6, 0.38, 0.02]),
            "joined": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D"),
            "newsletter": rng.choice(["true", "false"], rows),
            "visits": rng.poisson(10, rows).astype(float),
            "floor": rng.integers(0, 4, rows),
        }
    )
    frame = frame.mask(rng.random(frame.shape) < 0.08)
    return frame.assign(outcome=[OUTCOMES[one] for one in rng.integers(0, classes, rows)])


def served(folder: Path, estimator: str, classes: int) -> ServedModel:
    customers(classes).to_csv(folder / "customers.csv", index=False)
    table = load(
        DataSettings(
            source=str(folder / "customers.csv"), target="outcome", kinds={"floor": "categorical"}
        )
    )
    spec = ModelSpec("one", estimator, MODELS[estimator])
    model = build(spec, table.kinds, dict(table.features.dtypes), seed=7)
    model.fit(table.features, table.target)
    skops.io.dump(model, folder / "model.skops")
    columns = tuple(Column(name, kind) for name, kind in COLUMNS.items())  # type: ignore[arg-type]
    example = (("basic", "2023-05-01", True, 3.0, 1.0), ("plus", None, None, None, None))
    card = Card("churn", "1", "one", columns, example)
    (folder / CARD).write_text(json.dumps(asdict(card)))
    return ServedModel(folder)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", MODELS)
def test_any_row_is_answered_as_the_pipeline_answers_it(
    tmp_path: Path, estimator: str, classes: int
) -> None:
    model = served(tmp_path, estimator, classes)
    assert model.path == FORMS.get(estimator, "direct, arrays")
    assert (model.why_not_faster is None) == (estimator in FORMS)

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(ROWS)
    def check(rows: list[tuple[Any, ...]]) -> None:
        assert model.direct is not None
        assert same(model.direct(rows), model.by_pipeline(rows)), rows

    check()


@pytest.mark.parametrize("rows", [1, 8, 64, 600])
@pytest.mark.parametrize("estimator", [name for name, form in FORMS.items() if "trees" in form])
def test_each_form_of_a_tree_model_gives_the_same_answer_for_few_and_many_rows(
    tmp_path: Path, estimator: str, rows: int
) -> None:
    model = served(tmp_path, estimator, 3)
    request = (model.example() * rows)[:rows]
    assert model.direct is not None
    assert same(model.direct(request), model.by_pipeline(request))


def test_a_form_that_answers_differently_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = trees.forest

    def wrong(model: Any) -> Any:
        proba = real(model)
        return lambda block: proba(block) + 1e-5

    monkeypatch.setattr(trees, "forest", wrong)
    monkeypatch.setattr(trees, "forest_by_tree", wrong)
    model = served(tmp_path, "RandomForestClassifier", 3)
    assert model.path == "pipeline"
    assert model.why_not_faster == "its direct path answers differently than its pipeline"


def test_a_class_is_taken_from_the_probabilities_rather_than_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(tmp_path, "DecisionTreeClassifier", 3)
    expected = model.by_pipeline(model.example())

    def fail(*_: object) -> None:
        raise AssertionError("asked twice")

    monkeypatch.setattr(DecisionTreeClassifier, "predict", fail)
    assert model.direct is not None
    assert same(model.direct(model.example()), expected)


def test_a_form_that_is_wrong_at_a_threshold_only_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = trees.Trees.sums

    def wrong(self: trees.Trees, block: np.ndarray) -> np.ndarray:
        return real(self, np.nextafter(block, np.float32(np.inf)))

    monkeypatch.setattr(trees.Trees, "sums", wrong)
    monkeypatch.setattr(trees, "forest_by_tree", trees.forest)
    model = served(tmp_path, "ExtraTreesClassifier", 3)
    assert model.path == "pipeline"
    assert model.why_not_faster == "its direct path answers differently than its pipeline"


def test_each_allowed_estimator_has_a_faster_form_or_a_reason() -> None:
    forms = {*FORMS_OF_ESTIMATORS, *LOGISTIC, *LINEAR}
    assert forms | set(REASONS) == set(ALLOWED)
    assert not forms & set(REASONS)


def test_only_a_linear_model_is_quick_enough_for_the_event_loop(tmp_path: Path) -> None:
    for estimator, is_quick in (("LogisticRegression", True), ("RandomForestClassifier", False)):
        folder = tmp_path / estimator
        folder.mkdir()
        assert served(folder, estimator, 3).is_quick is is_quick


def test_an_answer_is_valid_json_for_all_class_names(tmp_path: Path) -> None:
    model = served(tmp_path, "LogisticRegression", 3)
    rows = model.example()
    classes, probabilities = model.by_pipeline(rows)
    answers = model.answers(rows)
    assert [json.loads(text) for text, _ in answers] == classes.tolist()
    for (_, text), expected in zip(answers, probabilities, strict=True):
        parsed = json.loads(text or "null")
        assert list(parsed) == sorted(OUTCOMES)
        assert list(parsed.values()) == pytest.approx(expected.tolist(), abs=1e-12)
