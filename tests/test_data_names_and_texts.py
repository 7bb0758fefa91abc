"""Columns with unusual names and texts, from a CSV to served answers and drift."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from mlflow import MlflowClient

from ratchet.data.dataset import load
from ratchet.errors import InputError
from ratchet.model.model_file import TRUSTED
from ratchet.registry.registry import Registry
from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.served_model import ServedModel
from tests.estimators import model
from tests.projects import new_project, run_step
from tests.tables import settings

NAMES = [
    "self",
    "index",
    "target",
    "class",
    "a b",
    "x[0]",
    "x.1",
    "größe",
    "(target)",
    "n" * 300,
    "7",
    "%s",
    "{}",
    '"quoted"',
    "comma, too",
    "cls",
    "features",
    "user_id",
    "tab\tname",
    "f1",
    "label",
    "'; DROP TABLE x; --",
    "😀",
]
WORDS = ["slow", "fast", "late", "kind", "broken"]


def odd_frame(rows: int = 300) -> pd.DataFrame:
    """Return numbers under odd names, an id, and reviews whose words predict the outcome."""
    rng = np.random.default_rng(3)
    words = rng.choice(WORDS, (rows, 6))
    frame = pd.DataFrame(rng.normal(size=(rows, len(NAMES))).round(3), columns=NAMES)
    frame["customer"] = [f"C-{code:05d}" for code in rng.permutation(rows)]
    frame["coupon"] = [f"{code:03d}-X" for code in rng.integers(0, 400, rows)]
    frame["review"] = [" ".join(row) + f" {place}" for place, row in enumerate(words)]
    frame.loc[::50, ["coupon", "review"]] = None
    frame["out come"] = np.where((words == "broken").any(axis=1), "leaves", "stays")
    return frame


ESTIMATORS = [
    "LogisticRegression",
    "HistGradientBoostingClassifier",
    "ComplementNB",
    "BernoulliNB",
    "GaussianNB",
    "LGBMClassifier",
]
TEXT = {"coupon": "hash", "review": "tfidf"}


@pytest.fixture(scope="module")
def odd_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "odd.csv"
    odd_frame().to_csv(path, index=False)
    return path


def test_ids_and_free_text_are_left_out_and_named(
    odd_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = load(settings(odd_csv, "out come"))
    assert list(table.kinds) == NAMES
    line = capsys.readouterr().out.splitlines()[-1]
    assert (
        "left out as ids or free text, as more than half of the values differ: 'customer' (300"
        in line
    )
    assert "set data.text to {customer: tfidf}" in line


def test_the_settings_say_what_a_text_becomes(odd_csv: Path) -> None:
    table = load(settings(odd_csv, "out come", text=TEXT | {"customer": "drop"}))
    assert table.kinds == dict.fromkeys(NAMES, "numeric") | TEXT
    kept = load(settings(odd_csv, "out come", kinds={"customer": "categorical"}))
    assert kept.kinds == dict.fromkeys(NAMES, "numeric") | {"customer": "categorical"}


def test_a_text_setting_for_numbers_or_for_no_column_is_refused(odd_csv: Path) -> None:
    with pytest.raises(InputError, match=r"'self' \(data.text\) holds numeric values, expected"):
        load(settings(odd_csv, "out come", text={"self": "tfidf"}))
    with pytest.raises(
        InputError, match=r"no column 'reveiw' \(data.text\); did you mean 'review'"
    ):
        load(settings(odd_csv, "out come", text={"reveiw": "tfidf"}))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_words_of_a_text_are_in_the_model_and_in_its_file(odd_csv: Path, name: str) -> None:
    table = load(settings(odd_csv, "out come", text=TEXT))
    fitted = model(name, table).fit(table.features, table.target)
    answers = fitted.predict(table.features)
    assert (answers == table.target).mean() > 0.85
    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED))
    unseen = table.features.head(3).copy()
    unseen["coupon"], unseen["review"] = [None, "", "new"], ["broken beyond words", None, "!?"]
    assert loaded.predict(table.features).tolist() == answers.tolist()
    assert len(loaded.predict(unseen)) == 3


@pytest.mark.slow
def test_odd_names_and_texts_go_through_the_line(odd_csv: Path, tmp_path: Path) -> None:
    data = {"source": str(odd_csv), "target": "out come", "text": TEXT}
    project = new_project(tmp_path / "project", {"model": "odd", "data": data})
    for step, arguments in {
        "train": {},
        "evaluate": {},
        "drift": {"current": str(odd_csv)},
    }.items():
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    assert json.loads((project / "reports/drift/drift.json").read_text())["verdict"] == "stable"
    mlflow.set_tracking_uri(f"sqlite:///{project}/mlflow.db")
    try:
        registry = Registry(MlflowClient(), "odd")
        versions = registry.versions()
        folders = [registry.folder(version) for version in versions]
    finally:
        mlflow.set_tracking_uri(None)
    assert len(versions) == 6
    table = load(settings(odd_csv, "out come", text=TEXT))
    cells = table.features.astype(object).where(table.features.notna(), None)
    rows = [tuple(row) for row in cells.itertuples(index=False)][:20]
    for version, folder in zip(versions, folders, strict=True):
        copy_from_mlflow(folder, "odd", version.number, "config", tmp_path / version.number)
        answers = ServedModel(tmp_path / version.number).answers(rows)
        assert len(answers) == 20
        assert {json.loads(answer) for answer, _ in answers} <= {"leaves", "stays"}
