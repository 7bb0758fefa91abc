"""The actions that move the aliases: promote, reject and roll back."""

from dataclasses import dataclass, replace

from ratchet.errors import InputError
from ratchet.promotion.ab_test import ABTest, current_test, read_trial
from ratchet.promotion.decision import Verdict, decide
from ratchet.promotion.rescoring import Rescorer
from ratchet.promotion.trial import Trial
from ratchet.promotion.watch import Watch, promised, watch
from ratchet.registry.registry import LedgerLine, Overtaken, Registry, Version
from ratchet.settings import Settings

ACTIONS = ("auto", "promote", "reject", "rollback")
BY_HAND = ("promote", "reject")


@dataclass(frozen=True)
class Move:
    """Aliases and version tags to write, with the reason and the run that holds the evidence."""

    aliases: dict[str, str | None]
    tags: dict[str, dict[str, str]]
    reason: str
    run: str


@dataclass(frozen=True)
class Outcome:
    """The decision, its evidence, and the move that followed."""

    decision: str  # promote, reject, keep_testing or rollback
    sentence: str
    aliases: dict[str, str]
    test: ABTest | None = None
    trial: Trial | None = None
    verdict: Verdict | None = None
    line: LedgerLine | None = None  # None: nothing moved
    watch: Watch | None = None  # of a prod that was promoted by an earlier test


def promote(
    registry: Registry,
    settings: Settings,
    action: str,
    reason: str,
    source: str,
    run: str,
    dry_run: bool = False,
) -> Outcome:
    """Decide and move the aliases; `run` is the MLflow run that holds the evidence.

    If nothing moved, look also if prod is still as good as its own test said.
    """
    outcome = _decided(registry, settings, action, reason, source, run, dry_run)
    if action != "auto" or outcome.line:
        return outcome
    try:
        return replace(outcome, watch=watch(registry, settings.promotion, source))
    except InputError:  # there is no log yet; what needs one has said so
        return outcome


def _decided(
    registry: Registry,
    settings: Settings,
    action: str,
    reason: str,
    source: str,
    run: str,
    dry_run: bool,
) -> Outcome:
    aliases = registry.aliases()
    if action == "rollback":
        move = rollback_move(registry, reason, run)
        return _apply(registry, Outcome(action, move.reason, aliases), move, dry_run)
    test = current_test(registry, settings)
    if test is None:
        if action in BY_HAND:
            raise InputError(
                f"action={action}: no version is staging. See mlflow run . -e evaluate"
            )
        return Outcome("keep_testing", "No version is staging: nothing is being tested.", aliases)
    trial, missing = _trial(registry, settings, source, test, by_hand=action in BY_HAND)
    verdict = decide(trial, settings.promotion) if trial else None
    decision, sentence = action, f"{action} by hand: {reason}"
    if verdict and action == "auto":
        decision = str(verdict.decision)
        sentence = f"{decision.replace('_', ' ')}: {verdict.reason}"
    outcome = Outcome(decision, sentence + missing, aliases, test, trial, verdict)
    if decision == "keep_testing":
        return outcome
    move = decision_move(decision, sentence, test, run, trial)
    return _apply(registry, outcome, move, dry_run)


def _trial(
    registry: Registry, settings: Settings, source: str, test: ABTest, by_hand: bool
) -> tuple[Trial | None, str]:
    """Return the trial; an action by hand needs no readable log."""
    try:
        return read_trial(source, test, settings, Rescorer(registry)), ""
    except InputError as error:
        if not by_hand:
            raise
        return None, f" (without evidence: {error})"


def _apply(registry: Registry, outcome: Outcome, move: Move, dry_run: bool) -> Outcome:
    if dry_run:
        return replace(outcome, sentence=f"{outcome.sentence} (a dry run: nothing moved)")
    try:
        line = registry.move(
            move.aliases, move.reason, move.run, move.tags, expected=outcome.aliases
        )
    except Overtaken as by:
        return replace(
            outcome,
            sentence=f"Nothing moved: another process was first ({by.line.reason})",
            aliases=registry.aliases(),
        )
    return replace(outcome, line=line, aliases=registry.aliases())


def decision_move(
    decision: str, reason: str, test: ABTest, run: str, trial: Trial | None = None
) -> Move:
    tags = {"decision_reason": reason, "decision_run": run}
    if decision == "promote":
        aliases = {"prod": test.staging, "previous": test.prod, "staging": None}
        tags |= {"decision": "promoted"} | (promised(trial) if trial else {})
        return Move(aliases, {test.staging: tags}, reason, run)
    tags |= {"decision": "rejected", "verdict": "rejected", "verdict_reason": reason}
    return Move({"staging": None}, {test.staging: tags}, reason, run)


def rollback_move(registry: Registry, reason: str, run: str) -> Move:
    """Make `previous` prod again, and the version that was prod before it the new `previous`."""
    prod, previous = registry.holder("prod"), registry.holder("previous")
    if prod is None or previous is None:
        raise InputError(
            f"No alias 'previous' on model '{registry.model}': nothing was promoted, so there is"
            " nothing to go back to. See make history"
        )
    sentence = f"rollback by hand: {reason or 'no reason given'}"
    tags = {
        "decision": "rolled back",
        "decision_reason": sentence,
        "decision_run": run,
        "verdict": "rejected",
        "verdict_reason": sentence,
    }
    aliases = {"prod": previous.number, "previous": _predecessor(registry, previous, prod)}
    return Move(aliases, {prod.number: tags}, sentence, run)


def _predecessor(registry: Registry, version: Version, bad: Version) -> str | None:
    """Return the version that `version` replaced as prod, unless it was rejected since."""
    versions = {one.number: one for one in registry.versions()}
    for line in reversed(registry.ledger()):
        before, after = line.moves.get("prod", (None, None))
        if after == version.number and before in versions and before != bad.number:
            return before if versions[before].verdict != "rejected" else None
    return None
