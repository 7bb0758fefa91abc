"""Model configs, and the models that are built from them."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from ratchet.data.dataset import Table, load
from ratchet.data.split import split
from ratchet.errors import InputError
from ratchet.model.estimators import ALLOWED
from ratchet.model.parameters import defaults
from ratchet.model.spec import build, config_files, parse_spec, read_spec, read_specs
from tests.estimators import model
from tests.tables import mixed_table, settings, write_text

CONFIGS = Path(__file__).parents[1] / "configs" / "models"
LINEAR = {"estimator": "LogisticRegression"}
TREE = {"estimator": "DecisionTreeClassifier"}


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return mixed_table(tmp_path_factory.mktemp("mixed"))


def error_of(estimator: Any, /, **params: Any) -> str:
    with pytest.raises(InputError) as refused:
        parse_spec("a", {"estimator": estimator, "params": params}, "a.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_shipped_configs_are_the_tutorials_baseline_and_five_more() -> None:
    files = config_files(CONFIGS)
    stems = ["baseline", "blend", "boosting", "forest", "lightgbm", "neighbours"]
    assert [file.stem for file in files] == stems
    assert {file.suffix for file in files} == {".yaml", ".json"}
    baseline = read_spec(files[0])
    assert (baseline.name, baseline.estimator) == ("baseline", "LogisticRegression")
    assert baseline.params == {"solver": "lbfgs", "max_iter": 1000, "random_state": 42}


@pytest.mark.parametrize("file", config_files(CONFIGS), ids=lambda file: file.stem)
def test_a_shipped_config_trains_without_a_warning(file: Path, mixed: Table) -> None:
    for table in (load(settings("iris", "target")), load(settings("wine", "target")), mixed):
        chosen = split(table, 0.2, 42)
        features, target = chosen.train
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted = build(read_spec(file), table.kinds, features.dtypes.to_dict(), 42)
            fitted.fit(features, target)
            assert fitted.score(*chosen.holdout) > 0.5
            assert fitted.predict_proba(chosen.holdout[0]).shape[1] == 3


def test_one_config_file_is_read_like_a_folder_of_one(tmp_path: Path) -> None:
    path = write_text(tmp_path / "b.yaml", "estimator: GaussianNB")
    write_text(tmp_path / "a.json", '{"estimator": "GaussianNB"}')
    write_text(tmp_path / "notes.md", "")
    assert config_files(path) == [path]
    assert [file.name for file in config_files(tmp_path)] == ["a.json", "b.yaml"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no model config; add a file ending in"):
        config_files(tmp_path / "empty")


def test_the_second_of_two_files_with_the_same_name_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", '{"estimator": "GaussianNB"}')
    write_text(tmp_path / "a.yaml", "estimator: SVC")
    (first,), broken = read_specs(config_files(tmp_path))
    assert (first.estimator, list(broken)) == ("GaussianNB", ["a.yaml"])
    assert broken["a.yaml"].endswith("another config is called 'a'; rename one")


def test_the_sha256_ignores_layout_comments_and_the_files_name(tmp_path: Path) -> None:
    texts = {
        "a.yaml": "estimator: SVC\nparams:\n  C: 0.5\n  kernel: rbf\n",
        "b.yml": "# the best\nparams: {kernel: 'rbf', C: 5e-1}\nestimator: SVC",
        "c.json": '{"estimator": "SVC",\n "params": {"C": 0.5, "kernel": "rbf"}}',
    }
    digests = {read_spec(write_text(tmp_path / name, text)).sha256 for name, text in texts.items()}
    assert len(digests) == 1
    other = read_spec(write_text(tmp_path / "d.yaml", texts["a.yaml"].replace("0.5", "0.6")))
    assert other.sha256 not in digests


def test_the_sha256_tells_a_number_from_its_text() -> None:
    weights: list[dict[Any, int]] = [{1: 2}, {"1": 2}, {1: 2, "1": 2}]
    specs = [
        parse_spec("a", {"estimator": "SVC", "params": {"class_weight": weight}}, "a.yaml")
        for weight in weights
    ]
    assert len({spec.sha256 for spec in specs}) == 3


def test_flat_params_contain_the_inner_params() -> None:
    content = {"estimator": "BaggingClassifier", "params": {"estimator": TREE, "n_estimators": 3}}
    assert parse_spec("a", content, "a.yaml").flat_params == {
        "estimator": "BaggingClassifier",
        "estimator.estimator": "DecisionTreeClassifier",
        "n_estimators": 3,
    }


def test_an_unknown_estimator_is_refused_with_the_nearest_name() -> None:
    message = error_of("LogisticRegresion")
    assert message == (
        "a.yaml: estimator 'LogisticRegresion' is not on the list;"
        " did you mean 'LogisticRegression'?"
    )
    assert "'os.system' is not on the list; known: AdaBoostClassifier" in error_of("os.system")
    assert "'estimator' must be a name" in error_of(None)
    assert "'estimator' must be a name" in error_of(["SVC"])


@pytest.mark.parametrize("estimator", ["SVR", "XGBRFClassifier", "CatBoostRegressor"])
def test_a_known_estimator_that_is_not_allowed_is_not_taken_for_a_misspelt_one(
    estimator: str,
) -> None:
    message = error_of(estimator)
    assert f"'{estimator}' is not on the list; it cannot be used in a model config" in message
    assert "did you mean" not in message


def test_a_library_that_is_not_installed_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ratchet.model.estimators.find_spec", lambda name: None)
    assert error_of("CatBoostClassifier") == (
        "a.yaml: CatBoostClassifier needs the package catboost, which is not installed; add it to"
        " requirements.in, run make lock and make setup"
    )


@pytest.mark.parametrize("parameter", ["train_dir", "snapshot_file", "allow_writing_files"])
def test_a_config_cannot_make_catboost_write_files(parameter: str) -> None:
    assert "takes no parameter" in error_of("CatBoostClassifier", **{parameter: "x"})


def test_an_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown key 'parms'; did you mean 'params'"):
        parse_spec("a", {"estimator": "SVC", "parms": {}}, "a.yaml")


@pytest.mark.parametrize("params", [[], [1], 0, "C=1", ""])
def test_params_that_are_not_a_mapping_are_refused(params: object) -> None:
    with pytest.raises(InputError, match="must map names to values"):
        parse_spec("a", {"estimator": "SVC", "params": params}, "a.yaml")


def test_params_may_be_left_empty() -> None:
    assert parse_spec("a", {"estimator": "SVC", "params": None}, "a.yaml").params == {}


def test_multi_class_gets_the_error_that_says_it_was_removed() -> None:
    assert error_of("LogisticRegression", multi_class="auto") == (
        "a.yaml: LogisticRegression takes no parameter 'multi_class'; scikit-learn has removed it:"
        " LogisticRegression is multinomial by itself, and OneVsRestClassifier does what"
        " multi_class: ovr did. Delete the line"
    )


def test_a_parameter_that_was_renamed_gets_its_new_name() -> None:
    assert error_of("BaggingClassifier", base_estimator=TREE).endswith("calls it 'estimator' now")


@pytest.mark.parametrize(
    ("estimator", "params", "message"),
    [
        ("RandomForestClassifier", {"n_estimator": 1}, "did you mean 'n_estimators'?"),
        ("LGBMClassifier", {"num_leafs": 1}, "did you mean 'num_leaves'?"),
        ("LogisticRegression", {"C": "abc"}, "The 'C' parameter of LogisticRegression must be"),
        ("LogisticRegression", {"C": -1}, "Got -1 instead."),
        ("LogisticRegression", {"max_iter": 1.5}, "must be an int in the range [0, inf)"),
        ("LogisticRegression", {"solver": "newton"}, "must be a str among"),
        ("LogisticRegression", {"solver": ["lbfgs"]}, "Got ['lbfgs'] instead."),
        ("LogisticRegression", {"random_state": "x"}, "must be an int in the range"),
        ("LGBMClassifier", {"n_estimators": "many"}, "for the 'n_estimators' parameter"),
        ("LGBMClassifier", {"learning_rate": [1]}, "for the 'learning_rate' parameter"),
        ("LGBMClassifier", {"n_estimators": 1.5}, "Got 1.5"),
        ("XGBClassifier", {"max_depth": "deep"}, "for the 'max_depth' parameter"),
        ("XGBClassifier", {"eta": 0.1}, "takes no parameter 'eta'"),
        ("StackingClassifier", {"estimators": {"a": LINEAR}, "cv": "prefit"}, "delete the line"),
    ],
)
def test_a_parameter_is_checked_before_anything_is_fitted(
    estimator: str, params: dict[str, Any], message: str
) -> None:
    assert message in error_of(estimator, **params)


def test_an_unknown_inner_estimator_is_refused_with_its_position() -> None:
    bagging = {"estimator": "BaggingClassifier", "params": {"estimator": {"estimator": "Foo"}}}
    assert error_of("VotingClassifier", estimators={"one": bagging}).startswith(
        "a.yaml: params.estimators.one: params.estimator: estimator 'Foo' is not on the list"
    )
    final = {"estimator": "LogisticRegression", "params": {"multi_class": "auto"}}
    assert error_of(
        "StackingClassifier", estimators={"one": LINEAR}, final_estimator=final
    ).startswith("a.yaml: params.final_estimator: LogisticRegression takes no parameter")


@pytest.mark.parametrize("estimator", ["OneVsRestClassifier", "FixedThresholdClassifier"])
def test_a_required_inner_estimator_that_is_missing_is_refused(estimator: str) -> None:
    assert error_of(estimator) == f"a.yaml: {estimator} needs params.estimator, a model config"
    assert error_of(estimator, estimator=None).endswith("needs params.estimator, a model config")
    assert "params.estimator must be a model config, got 'SVC'" in error_of(
        estimator, estimator="SVC"
    )


@pytest.mark.parametrize(
    ("estimators", "message"),
    [
        (None, "needs params.estimators"),
        ({}, "params.estimators must map names to model configs, got {}"),
        ([LINEAR], "params.estimators must map names to model configs"),
        ({"one": "SVC"}, "params.estimators.one must be a model config, got 'SVC'"),
        ({"a__b": LINEAR}, "a member cannot be named 'a__b'"),
        ({"voting": LINEAR}, "a member cannot be named 'voting'"),
        ({1: LINEAR}, "a member cannot be named 1"),
    ],
)
def test_the_members_of_a_blend_are_model_configs_with_names(estimators: Any, message: str) -> None:
    assert message in error_of("VotingClassifier", estimators=estimators)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@hypothesis.settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_of_any_parameter_is_accepted_or_refused(data: st.DataObject) -> None:
    allowed = ALLOWED[data.draw(st.sampled_from(sorted(ALLOWED)))]
    names = list(defaults(allowed))
    params = data.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=3))
    with suppress(InputError):
        spec = parse_spec("a", {"estimator": allowed.name, "params": params}, "a.yaml")
        assert len(spec.sha256) == 64
        assert build(spec, {"x": "numeric"}, {"x": np.dtype("float64")}, 0) is not None


def test_a_seed_in_the_config_is_used_and_the_projects_seed_otherwise(
    mixed: Table,
) -> None:
    def seeds(**params: Any) -> int:
        return model("RandomForestClassifier", mixed, 42, **params)["model"].random_state

    assert (seeds(), seeds(random_state=1), seeds(random_state=None)) == (42, 1, 42)
    ((_, coded),) = model("CatBoostClassifier", mixed, 42, random_seed=3)["model"].estimators
    assert coded.get_params()["random_seed"] == 3
    assert "random_state" not in coded.get_params()
    nested = model("BaggingClassifier", mixed, 42, estimator=TREE)["model"]
    assert (nested.random_state, nested.estimator.random_state) == (42, 42)


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        ("VotingClassifier", {"estimators": {"a": LINEAR, "b": TREE}, "voting": "soft"}),
        ("StackingClassifier", {"estimators": {"a": LINEAR, "b": TREE}, "final_estimator": TREE}),
        ("BaggingClassifier", {"estimator": {"estimator": "KNeighborsClassifier"}}),
        ("OneVsRestClassifier", {"estimator": {"estimator": "GradientBoostingClassifier"}}),
        (
            "BaggingClassifier",
            {
                "n_estimators": 2,
                "estimator": {
                    "estimator": "VotingClassifier",
                    "params": {"estimators": {"a": LINEAR, "b": {"estimator": "LGBMClassifier"}}},
                },
            },
        ),
        (
            "VotingClassifier",
            {
                "estimators": {
                    "a": {"estimator": "StackingClassifier", "params": {"estimators": {"x": TREE}}},
                    "b": {"estimator": "HistGradientBoostingClassifier"},
                }
            },
        ),
    ],
)
def test_nested_configs_are_built_and_learn(
    estimator: str, params: dict[str, Any], mixed: Table
) -> None:
    chosen = split(mixed, 0.2, 1)
    assert model(estimator, mixed, **params).fit(*chosen.train).score(*chosen.holdout) > 0.6


def test_each_member_of_a_blend_is_prepared_in_its_own_way(mixed: Table) -> None:
    blend = model("VotingClassifier", mixed, estimators={"a": LINEAR, "b": TREE})["model"]
    steps = {
        name: [list(pipeline.named_steps)[-1] for _, pipeline, _ in member["prepare"].transformers]
        for name, member in blend.estimators
    }
    assert "onehotencoder" in steps["a"]
    assert "standardscaler" in steps["a"]
    assert "ordinalencoder" in steps["b"]
    assert "standardscaler" not in steps["b"]


def test_the_same_config_and_seed_give_the_same_model_bit_for_bit(mixed: Table) -> None:
    for estimator in (
        "RandomForestClassifier",
        "LGBMClassifier",
        "ExtraTreesClassifier",
        "XGBClassifier",
        "CatBoostClassifier",
    ):
        first, second = (
            model(estimator, mixed, 7)
            .fit(mixed.features, mixed.target)
            .predict_proba(mixed.features)
            for _ in range(2)
        )
        assert np.array_equal(first, second)
