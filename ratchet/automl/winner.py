"""The choice of the winner: the best candidate that the project's own code can train."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ratchet.automl.agreement import agreement, sample_of
from ratchet.automl.candidates import Candidate, Failure, leaderboard
from ratchet.automl.process import Search
from ratchet.automl.request import folds_of
from ratchet.automl.runs import record
from ratchet.automl.translation import as_spec
from ratchet.data.split import Split
from ratchet.errors import InputError
from ratchet.settings import Settings
from ratchet.training.train import Failed, Trained, train_each


@dataclass
class SearchResult:
    """The results of the search so far. They are reported even if the search is stopped."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    winner: Candidate | None = None
    trained: Trained | None = None
    agreement: float | None = None


def scored_candidates(
    search: Search, result: SearchResult, tags: Mapping[str, str]
) -> Iterator[Candidate]:
    """Record each candidate in an MLflow run and in `result`, then yield it. Keep failures too."""
    for one in search.results():
        if isinstance(one, Failure):
            result.failures.append(one)
        else:
            record(one, tags)
            result.candidates.append(one)
            yield one


def choose_winner(
    search: Search, result: SearchResult, split: Split, settings: Settings
) -> Trained:
    """Train the candidates, the best first, until one succeeds; return it.

    Also measure how often this model and PyCaret's model agree. Raise InputError if all fail.
    """
    for candidate in leaderboard(result.candidates, settings.metric):
        trained = _train(candidate, split, settings)
        if isinstance(trained, Trained):
            result.winner, result.trained = candidate, trained
            result.agreement = _agreement(search, candidate, trained, split, settings)
            return trained
        reason = f"the project's code could not train it: {trained}"
        result.failures.append(Failure(candidate.name, reason))
    raise InputError(_no_winner(result, settings))


def _train(candidate: Candidate, split: Split, settings: Settings) -> Trained | str:
    """Return the trained model, or the reason why there is none."""
    seed = settings.data.seed
    try:
        spec = as_spec(candidate, seed, settings.automl.imbalance)
    except InputError as error:
        return str(error)
    (trained,) = train_each([spec], split, seed, jobs=1)
    return trained.reason if isinstance(trained, Failed) else trained


def _agreement(
    search: Search, candidate: Candidate, trained: Trained, split: Split, settings: Settings
) -> float:
    predictions = search.finalise(candidate)
    sample = sample_of(split, folds_of(split, settings), settings.data.seed)
    return agreement(trained.model, sample, predictions, split.table.classes)


def _no_winner(result: SearchResult, settings: Settings) -> str:
    if not result.failures:
        return (
            f"No candidate was scored on every fold within {settings.automl.budget_minutes:g}"
            " minutes. Increase automl.budget_minutes, or name quicker estimators in"
            " automl.estimators"
        )
    reasons = {one.estimator: one.reason for one in result.failures}
    first = [f"{name}: {reason.split('. ')[0]}" for name, reason in reasons.items()][:3]
    return f"All {len(reasons)} candidates failed. {'; '.join(first)}"
