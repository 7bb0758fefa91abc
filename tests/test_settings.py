from pathlib import Path

import pytest
from pydantic import ValidationError

from ratchet.errors import InputError
from ratchet.settings import PROJECT, read_settings
from tests.tables import write_text

LEAST = "model: churn\ndata: {source: churn.csv, target: left}\n"


def error_of(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as refused:
        read_settings(write_text(folder / "project.yaml", text))
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'project.yaml'}: ")


def test_the_shipped_project_is_read() -> None:
    settings = read_settings(Path(__file__).parents[1] / PROJECT)
    assert (settings.model, settings.metric) == ("iris", "accuracy")
    assert (settings.data.source, settings.data.target) == ("iris", "target")


def test_a_model_a_source_and_a_target_are_enough(tmp_path: Path) -> None:
    settings = read_settings(write_text(tmp_path / "project.yaml", LEAST))
    assert (settings.data.holdout, settings.data.seed, settings.metric) == (0.2, 42, "accuracy")
    assert (settings.gate.floor, settings.gate.tolerance) == (None, 0.0)


def test_lists_kinds_and_whole_numbers_are_taken_as_written(tmp_path: Path) -> None:
    text = (
        "model: churn\nmetric: f1\ngate: {floor: 1, max_size_mb: 20}\ndata:\n  source: a.csv\n"
        "  target: left\n  drop: [id]\n  slices: [city]\n  missing: ['-']\n"
        "  kinds: {branch: categorical, joined: date}\n"
    )
    settings = read_settings(write_text(tmp_path / "project.yaml", text))
    assert settings.data.drop == ("id",)
    assert settings.data.slices == ("city",)
    assert settings.data.missing == ("-",)
    assert settings.data.kinds == {"branch": "categorical", "joined": "date"}
    assert (settings.gate.floor, settings.gate.max_size_mb) == (1.0, 20.0)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = read_settings(write_text(tmp_path / "project.yaml", LEAST))
    with pytest.raises(ValidationError, match="frozen"):
        settings.data.target = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("metrics: f1", "unknown key 'metrics'; did you mean 'metric'?"),
        ("gate: {floors: 1}", "unknown key 'gate.floors'; did you mean 'floor'?"),
        (
            "gate: {zzz: 1}",
            "unknown key 'gate.zzz';"
            " known: confidence, floor, max_latency_ms, max_size_mb, tolerance",
        ),
        ("gate:", "gate: input should be a valid dictionary or instance of GateSettings, got None"),
        ("gate: {floor: .nan}", "gate.floor: input should be a finite number, got nan"),
        ("gate: {confidence: 1}", "gate.confidence: input should be less than 1, got 1"),
        ("gate: {confidence: '0.9'}", "gate.confidence: input should be a valid number, got '0.9'"),
        ("1: 2", "1: keys should be strings, got 1"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_key(
    tmp_path: Path, more: str, message: str
) -> None:
    assert error_of(tmp_path, LEAST + more) == message


def test_an_unknown_metric_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    message = error_of(tmp_path, LEAST + "metric: acuracy")
    assert message.startswith("metric: input should be 'accuracy', 'precision'")
    assert message.endswith("got 'acuracy'")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("tarqet: t", "unknown key 'data.tarqet'; did you mean 'target'?"),
        ("drop: []", "key 'data.target' is missing"),
        ("target: t, drop: id", "data.drop: input should be a valid tuple, got 'id'"),
        ("target: t, drop: [1]", "data.drop.0: input should be a valid string, got 1"),
        ("target: t, holdout: 1", "data.holdout: input should be less than 1, got 1"),
        ("target: t, holdout: 0", "data.holdout: input should be greater than 0, got 0"),
        ("target: t, seed: -1", "data.seed: input should be greater than or equal to 0, got -1"),
        ("target: t, seed: true", "data.seed: input should be a valid integer, got True"),
        ("target: 3", "data.target: input should be a valid string, got 3"),
        (
            "target: t, kinds: {a: number}",
            "data.kinds.a: input should be 'numeric', 'categorical', 'boolean' or 'date',"
            " got 'number'",
        ),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_with_its_key(
    tmp_path: Path, data: str, message: str
) -> None:
    assert error_of(tmp_path, f"model: m\ndata: {{source: iris, {data}}}") == message


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path, "model: m") == "key 'data' is missing"


def test_a_model_name_that_the_registry_would_refuse_is_refused_here(tmp_path: Path) -> None:
    message = "model: expected letters, digits, '.', '_' and '-' only, got 'a/b'"
    assert error_of(tmp_path, LEAST.replace("churn\n", "a/b\n")) == message


def test_a_list_or_an_empty_file_is_refused_as_settings(tmp_path: Path) -> None:
    assert "contains a list" in error_of(tmp_path, "- model")
    assert "is empty" in error_of(tmp_path, "")
    with pytest.raises(InputError, match="no such file"):
        read_settings(tmp_path / "none.yaml")
