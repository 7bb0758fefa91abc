"""Model files without pickle: only estimators on the allow-list are saved and loaded."""

import json
import os
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from ratchet.data.dataset import Table
from ratchet.data.split import split
from ratchet.errors import InputError
from ratchet.model import model_file
from ratchet.model.estimators import ALLOWED
from ratchet.model.spec import build, parse_spec
from tests.estimators import NEEDED, TWO_CLASS_VARIANTS, TWO_CLASSES_ONLY, VARIANTS
from tests.tables import mixed_table


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return mixed_table(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return mixed_table(tmp_path_factory.mktemp("two"), classes=2)


def fit(table: Table, estimator: str, params: dict[str, Any], target: Any = None) -> Any:
    spec = parse_spec("a", {"estimator": estimator, "params": params}, "a.yaml")
    pipeline = build(spec, table.kinds, table.features.dtypes.to_dict(), 0)
    return pipeline.fit(table.features, table.target if target is None else target)


def saved(model: Any, folder: Path) -> Path:
    skops.io.dump(model, folder / model_file.FILE)
    return folder


def assert_loads_the_same(model: Any, table: Table, folder: Path) -> None:
    loaded = model_file.load(saved(model, folder))
    rows = table.features
    assert np.array_equal(loaded.predict(rows), model.predict(rows))
    if hasattr(model, "predict_proba"):
        before, after = model.predict_proba(rows), loaded.predict_proba(rows)
        assert np.array_equal(before, after, equal_nan=True)


quiet = pytest.mark.filterwarnings("ignore")


@quiet
@pytest.mark.parametrize("estimator", sorted(ALLOWED))
def test_every_allowed_estimator_is_loaded_as_it_was_saved(
    estimator: str, three: Table, two: Table, tmp_path: Path
) -> None:
    for table in (two,) if estimator in TWO_CLASSES_ONLY else (two, three):
        assert_loads_the_same(fit(table, estimator, NEEDED.get(estimator, {})), table, tmp_path)


@quiet
@pytest.mark.parametrize("estimator", sorted(ALLOWED))
@pytest.mark.parametrize("kind", ["int64", pytest.param("bool", marks=pytest.mark.slow)])
def test_classes_may_be_numbers_or_booleans(
    estimator: str, kind: str, two: Table, tmp_path: Path
) -> None:
    target = (two.target == two.classes[0]).astype(kind)
    model = fit(two, estimator, NEEDED.get(estimator, {}), target)
    assert_loads_the_same(model, two, tmp_path)
    assert model.predict(two.features).dtype == kind


@quiet
@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "params"), VARIANTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_objects_in_parameters_are_loaded(
    estimator: str, params: dict[str, Any], three: Table, tmp_path: Path
) -> None:
    assert_loads_the_same(fit(three, estimator, params), three, tmp_path)


@quiet
@pytest.mark.parametrize(
    ("estimator", "params"),
    TWO_CLASS_VARIANTS,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_estimators_for_two_classes_only_are_loaded(
    estimator: str, params: dict[str, Any], two: Table, tmp_path: Path
) -> None:
    assert_loads_the_same(fit(two, estimator, params), two, tmp_path)


def test_a_model_of_twenty_classes_is_loaded(tmp_path: Path) -> None:
    table = mixed_table(tmp_path, 200, classes=20)
    chosen = split(table, 0.2, 1)
    model = fit(table, "LogisticRegression", {"max_iter": 1000})
    loaded = model_file.load(saved(model, tmp_path))
    assert loaded.predict_proba(chosen.holdout[0]).shape == (40, 20)


class Stranger(ClassifierMixin, BaseEstimator):
    def fit(self, X: Any, y: Any) -> "Stranger":
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.repeat(self.classes_[0], len(X))


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (FunctionTransformer(os.system), "posix.system"),
        (FunctionTransformer(eval), "builtins.eval"),
        (FunctionTransformer(partial(os.system, "true")), "posix.system"),
        (FunctionTransformer(np.load), "numpy.load"),
        (Stranger(), "tests.test_model_file.Stranger"),
    ],
)
def test_a_file_with_another_type_is_refused_with_the_name_of_the_type(
    step: Any, named: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        model_file.load(saved(make_pipeline(step), tmp_path))
    message = str(refused.value)
    assert f"holds the type {named}, which is not on the list of trusted types" in message
    assert "it was not loaded" in message


@pytest.fixture
def good(three: Table, tmp_path: Path) -> Path:
    return saved(fit(three, "LogisticRegression", {"max_iter": 1000}), tmp_path)


def rewritten(folder: Path, change: Any) -> Path:
    """Return a copy of the archive whose schema.json has been changed."""
    file = folder / model_file.FILE
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["schema.json"] = change(parts["schema.json"].decode()).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return folder


def test_a_file_whose_types_were_changed_is_refused_and_not_run(good: Path) -> None:
    ran = good / "ran"

    def plant(text: str) -> str:
        schema = json.loads(text)
        schema["content"] = {
            "__class__": "system",
            "__module__": "posix",
            "__loader__": "OperatorFuncNode",
            "__id__": 1,
            "attrs": {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "__id__": 2,
                "content": json.dumps(f"touch {ran}"),
                "is_json": True,
            },
        }
        return json.dumps(schema)

    with pytest.raises(InputError):
        model_file.load(rewritten(good, plant))
    assert not ran.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"LogisticRegression"', '"Popen"'),
        ('"sklearn.linear_model._logistic"', '"subprocess"'),
        ('"__loader__": "ObjectNode"', '"__loader__": "NoSuchNode"'),
        ("{", "["),
    ],
)
def test_a_tampered_file_is_refused(good: Path, old: str, new: str) -> None:
    with pytest.raises(InputError) as refused:
        model_file.load(rewritten(good, lambda text: text.replace(old, new)))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_incomplete_or_not_a_model_is_refused(good: Path) -> None:
    file = good / model_file.FILE
    for content in (file.read_bytes()[:-200], b"", b"\x80\x04pickle", b"PK\x03\x04"):
        file.write_bytes(content)
        with pytest.raises(InputError, match="is not a model in skops format"):
            model_file.load(good)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    message = r"holds no model.skops; train it again: mlflow run . -e train"
    with pytest.raises(InputError, match=message):
        model_file.load(tmp_path)


def test_the_trusted_types_are_listed_once_in_order_and_exist() -> None:
    from importlib import import_module

    assert list(model_file.TRUSTED) == sorted(set(model_file.TRUSTED))
    for name in model_file.TRUSTED:
        module, _, part = name.rpartition(".")
        assert hasattr(import_module(module), part), name
