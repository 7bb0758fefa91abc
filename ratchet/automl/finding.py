"""From candidates to a model that the project's own code has trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ratchet.automl.agreement import agreement, rows_between
from ratchet.automl.candidates import Candidate, Failure, leaderboard
from ratchet.automl.process import Search
from ratchet.automl.recording import record
from ratchet.automl.translation import as_spec
from ratchet.data.dataset import Split
from ratchet.errors import InputError
from ratchet.settings import Settings
from ratchet.training.train import Failed, Trained, train_each


@dataclass
class Found:
    """Filled as the search goes on: what is in it when it is stopped is kept."""

    candidates: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    winner: Candidate | None = None
    trained: Trained | None = None
    agreement: float | None = None


def scored(search: Search, found: Found, tags: Mapping[str, str]) -> Iterator[Candidate]:
    """Each on record before the next is waited for."""
    for what in search.found():
        if isinstance(what, Failure):
            found.failures.append(what)
        elif isinstance(what, Candidate):
            record(what, tags)
            found.candidates.append(what)
            yield what


def choose(search: Search, found: Found, split: Split, settings: Settings) -> Trained:
    """The best that the project's code can train, and how far the two models answer alike."""
    for candidate in leaderboard(found.candidates, settings.metric):
        result = _trained(candidate, split, settings)
        if isinstance(result, Trained):
            found.winner, found.trained = candidate, result
            found.agreement = _agreement(search, candidate, result, split, settings)
            return result
        found.failures.append(Failure(candidate.name, f"trained here: {result}"))
    raise InputError(_nothing(found, settings))


def _trained(candidate: Candidate, split: Split, settings: Settings) -> Trained | str:
    seed = settings.data.seed
    try:
        spec = as_spec(candidate, seed, settings.automl.imbalance)
    except InputError as error:
        return str(error)
    (result,) = train_each([spec], split, seed, jobs=1)
    return result.reason if isinstance(result, Failed) else result


def _agreement(
    search: Search, candidate: Candidate, trained: Trained, split: Split, settings: Settings
) -> float:
    features, target = split.train
    classes = split.table.classes
    predictions = search.finalise(candidate)
    sample = rows_between(features, classes.searchsorted(target), settings.data.seed)
    return agreement(trained.model, sample, predictions, classes)


def _nothing(found: Found, settings: Settings) -> str:
    if not found.failures:
        return (
            f"automl.budget_minutes is {settings.automl.budget_minutes:g}: it was spent before one"
            " candidate was scored on every fold. Give it more, or name quicker automl.estimators"
        )
    reasons = {one.estimator: one.reason for one in found.failures}
    said = "; ".join(
        f"{name}: {reason.split('. ')[0]}" for name, reason in list(reasons.items())[:3]
    )
    return f"Every candidate failed ({len(reasons)}). {said}"


def require_agreement(found: Found, settings: Settings) -> None:
    limit = settings.automl.agreement
    if found.agreement is None or found.winner is None or found.agreement >= limit:
        return
    raise InputError(
        f"{found.winner.name}, trained by the project's code, answers {found.agreement:.3f} of the"
        f" sample like PyCaret's own, and automl.agreement is {limit:g}. It was not registered."
        " Name other automl.estimators, or lower automl.agreement and let the gate decide"
    )
