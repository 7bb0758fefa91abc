"""The winner of the search, trained by the project's own code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ratchet.automl.agreement import agreement, mixed_rows
from ratchet.automl.candidates import Candidate, Failure, leaderboard
from ratchet.automl.process import Search
from ratchet.automl.runs import record
from ratchet.automl.translation import as_spec
from ratchet.data.dataset import Split
from ratchet.errors import InputError
from ratchet.settings import Settings
from ratchet.training.train import Failed, Trained, train_each


@dataclass
class SearchResult:
    """The results of the search so far; they are kept if the search is stopped."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    winner: Candidate | None = None
    trained: Trained | None = None
    agreement: float | None = None


def scored_candidates(
    search: Search, result: SearchResult, tags: Mapping[str, str]
) -> Iterator[Candidate]:
    """Yield each candidate after it has been recorded in an MLflow run."""
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
    """Train the best candidate that the project's code can train, and measure the agreement."""
    for candidate in leaderboard(result.candidates, settings.metric):
        trained = _train(candidate, split, settings)
        if isinstance(trained, Trained):
            result.winner, result.trained = candidate, trained
            result.agreement = _agreement(search, candidate, trained, split, settings)
            return trained
        result.failures.append(Failure(candidate.name, f"trained by the project's code: {trained}"))
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
    features, target = split.train
    classes = split.table.classes
    predictions = search.finalise(candidate)
    sample = mixed_rows(features, classes.searchsorted(target), settings.data.seed)
    return agreement(trained.model, sample, predictions, classes)


def _no_winner(result: SearchResult, settings: Settings) -> str:
    if not result.failures:
        return (
            f"No candidate was scored on every fold within {settings.automl.budget_minutes:g}"
            " minutes. Raise automl.budget_minutes, or name quicker automl.estimators"
        )
    reasons = {one.estimator: one.reason for one in result.failures}
    first = [f"{name}: {reason.split('. ')[0]}" for name, reason in reasons.items()][:3]
    return f"All {len(reasons)} candidates failed. {'; '.join(first)}"
