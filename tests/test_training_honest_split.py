"""A random split that flatters is noticed, and the honest one says what a new customer gets."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.data.split import load_split
from ratchet.data.split_hints import split_hints
from ratchet.model.spec import parse_spec
from ratchet.settings import DataSettings
from ratchet.training.train import Trained, train_each
from tests.projects import new_project, run_step

TREE = {"estimator": "DecisionTreeClassifier"}


def customers(number: int, first: int, seed: int, rows_each: int = 10) -> pd.DataFrame:
    """Return rows of customers who nearly always decide alike; `device` says who they are.

    Besides that, `x` says something about each row, which holds for every customer.
    """
    rng = np.random.default_rng(seed)
    customer = np.repeat(np.arange(first, first + number), rows_each)
    rows = len(customer)
    usual = np.repeat(rng.random(number) < 0.5, rows_each)
    yes = usual ^ (rng.random(rows) < 0.01)
    device = (customer * 7919) % 1_000_003
    x = (rng.random(rows) < np.where(yes, 0.7, 0.3)).astype(int)
    frame = pd.DataFrame({"customer": customer, "device": device, "x": x})
    return frame.assign(y=np.where(yes, "yes", "no")).sample(
        frac=1, random_state=seed, ignore_index=True
    )


def settings_of(path: Path, by: str, **more: object) -> DataSettings:
    split = {"by": by} | ({"column": "customer"} if by == "group" else {})
    data = {"source": str(path), "target": "y", "split": split, "drop": ["customer"]}
    return DataSettings.model_validate(data | more)


def trained(settings: DataSettings) -> Trained:
    spec = parse_spec("tree", {**TREE, "params": {"min_samples_leaf": 2}}, "tree.yaml")
    (result,) = train_each([spec], load_split(settings), seed=1, jobs=1)
    assert isinstance(result, Trained)
    return result


@pytest.mark.slow
def test_the_group_holdout_says_what_a_new_customer_gets(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    customers(25_000, first=0, seed=1).to_parquet(path)
    new = customers(25_000, first=100_000, seed=2)
    by_group = trained(settings_of(path, "group", holdout=0.4))
    at_random = trained(settings_of(path, "random"))
    gets = float((by_group.model.predict(new[["device", "x"]]) == new["y"]).mean())
    assert at_random.metrics["accuracy"] == pytest.approx(0.95, abs=0.02)
    assert by_group.metrics["accuracy"] == pytest.approx(gets, abs=0.01)
    assert gets < 0.75


def test_an_id_on_both_sides_is_noticed_and_a_measurement_is_not(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    customers(300, first=0, seed=1).to_parquet(path)
    (hint,) = split_hints(load_split(settings_of(path, "random", drop=[])))
    assert hint.column in ("customer", "device")
    assert hint.rule.by == "group"
    (dropped,) = split_hints(load_split(settings_of(path, "random", drop=["customer", "device"])))
    assert dropped.column in ("customer", "device")
    frame = customers(300, first=0, seed=1).drop(columns=["customer", "device"])
    frame["years"] = np.random.default_rng(3).integers(18, 90, len(frame))
    frame["years"] += 20 * (frame["y"] == "yes")
    frame.to_parquet(path)
    assert split_hints(load_split(settings_of(path, "random", drop=[]))) == []


def test_rows_in_the_order_of_a_date_are_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2026-01-01", periods=200),
            "birth": rng.permutation(pd.date_range("1990-01-01", periods=200)),
            "x": rng.normal(size=200),
            "y": rng.choice(["no", "yes"], 200),
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    settings = settings_of(tmp_path / "rows.parquet", "random", drop=[])
    (hint,) = split_hints(load_split(settings))
    assert (hint.column, hint.reason) == ("day", "the rows are in the order of 'day'")
    frame.sample(frac=1, random_state=1).to_parquet(tmp_path / "rows.parquet")
    assert split_hints(load_split(settings)) == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_the_example_tables_get_no_warning(name: str) -> None:
    assert split_hints(load_split(DataSettings(source=name, target="target"))) == []


def test_train_warns_with_the_score_of_the_honest_split(tmp_path: Path) -> None:
    data = {"source": "rows.csv", "target": "y", "drop": ["customer"]}
    project = new_project(tmp_path / "project", {"model": "m", "data": data})
    customers(300, first=0, seed=1).to_csv(project / "rows.csv", index=False)
    (project / "configs/models/tree.json").write_text(json.dumps(TREE))
    done = run_step(project, "train", config="configs/models/tree.json")
    assert done.returncode == 0, done.stderr
    (score,) = json.loads((project / "reports/train/train.json").read_text())["honest_scores"]
    assert score["random"] > 0.85
    assert score["honest"] < 0.7
    sentence = (
        "Warning: the split at random looks wrong, because values of 'customer' are on both sides"
        f" and predict the target. tree has accuracy {score['random']:.4f} on the random holdout;"
        " with data.split: {by: group, column: customer} it would have"
        f" {score['honest']:.4f}. See docs/data.md"
    )
    sentence = sentence.replace("customer", score["hint"]["column"])
    assert sentence in done.stdout
    assert sentence in (project / "reports/train/train.md").read_text()
    assert "Split at random: 2,400 rows for training, 600 in the holdout." in done.stdout
