"""The score of a config on the split that is probably honest, beside the one at random."""

from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.data.split import Split, load_split
from ratchet.data.split_hints import Hint, split_hints
from ratchet.errors import InputError
from ratchet.model.spec import ModelSpec
from ratchet.settings import Settings
from ratchet.training.record import Outcome
from ratchet.training.train import Trained, train_each


@dataclass(frozen=True)
class HonestScore:
    hint: Hint
    config: str
    metric: str
    random: float
    honest: float | None  # None: the table allows no such split, or the fit failed
    reason: str = ""

    @property
    def sentence(self) -> str:
        rule = f"{{by: {self.hint.rule.by}, column: {self.hint.column}}}"
        scored = self.reason if self.honest is None else f"{self.honest:.4f}"
        return (
            f"Warning: the split at random looks wrong, because {self.hint.reason}."
            f" {self.config} has {self.metric} {self.random:.4f} on the random holdout; with"
            f" data.split: {rule} it would have {scored}. See docs/data.md"
        )


def honest_scores(
    specs: Sequence[ModelSpec], outcomes: Sequence[Outcome], split: Split, settings: Settings
) -> list[HonestScore]:
    """Return a score for each hint, of the trained config that is fitted fastest."""
    by_name = {spec.name: spec for spec in specs}
    trained = [
        (one.metrics["fit_seconds"], one.config, one.metrics)
        for one in outcomes
        if one.status == "trained" and one.metrics and settings.metric in one.metrics
    ]
    if not trained:
        return []
    _, name, metrics = min(trained, key=lambda one: one[0])
    return [
        HonestScore(
            hint,
            name,
            settings.metric,
            metrics[settings.metric],
            *_score(hint, by_name[name], settings),
        )
        for hint in split_hints(split)
    ]


def _score(hint: Hint, spec: ModelSpec, settings: Settings) -> tuple[float | None, str]:
    data = settings.data.model_copy(update={"split": hint.rule})
    try:
        split = load_split(data)
    except InputError as error:
        return None, f"no score ({error})"
    (result,) = train_each([spec], split, data.seed, jobs=1)
    if isinstance(result, Trained):
        return result.metrics[settings.metric], ""
    return None, f"no score ({result.reason})"
