"""The predictions for the gate and for promotions, made by the code that serves a version."""

from pathlib import Path

import pandas as pd
import pytest

from ratchet.evaluation.gate import Verdict
from ratchet.evaluation.judge import TIMED_CALLS, Judgement, _move, served_latency_ms
from ratchet.promotion.rescoring import Rescorer
from ratchet.serving.served_model import ServedModel
from ratchet.settings import Settings
from tests.small_registry import SmallRegistry


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    small = SmallRegistry(tmp_path)
    small.add("1", ["wide", "narrow"])
    return small


@pytest.fixture
def served_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which path of a served model answers, at each call."""
    paths: list[str] = []
    answers = ServedModel.answers

    def recording(self: ServedModel, rows: object) -> object:
        paths.append(self.path)
        return answers(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(ServedModel, "answers", recording)
    return paths


def test_the_gate_times_the_code_that_answers_in_the_service(
    registry: SmallRegistry, served_paths: list[str]
) -> None:
    assert served_latency_ms(registry.folder(registry.version("1")), "iris", "1") > 0
    assert served_paths == ["direct, linear"] * TIMED_CALLS


@pytest.mark.parametrize("widths", [(19.0, 1.0), ("19.0", "1")])
def test_logged_requests_are_asked_again_by_the_code_that_served_them(
    registry: SmallRegistry, served_paths: list[str], widths: tuple[object, ...]
) -> None:
    """An export contains only texts."""
    features = pd.Series([{"width": width} for width in widths])
    rows = pd.DataFrame({"features": features, "prediction": "wide"})
    answers = Rescorer(registry)("1", rows)  # type: ignore[arg-type]
    assert list(answers) == ["wide", "narrow"]
    assert served_paths == ["direct, linear"]


def test_a_gate_that_nobody_passes_says_what_to_do_if_there_is_no_prod(
    registry: SmallRegistry,
) -> None:
    verdict = Verdict("1", False, "accuracy floor: 0.5, limit 0.8", 0.5)
    settings = Settings.model_validate({"model": "iris", "data": {"source": "iris", "target": "x"}})
    waiting = [Judgement(registry.version("1"), verdict)]
    first = _move(waiting, registry, settings, "run")  # type: ignore[arg-type]
    assert "There is no prod yet" in first.sentence
    assert "lower gate.floor" in first.sentence
    registry.named["prod"] = "1"
    later = _move(waiting, registry, settings, "run")  # type: ignore[arg-type]
    assert later.sentence == "No candidate passed the gate; nothing moved."
