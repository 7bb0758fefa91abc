"""Versions through the gate: load them, judge them, tag them, move the alias."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ratchet.data.split import Split
from ratchet.errors import InputError
from ratchet.evaluation.audit import audit_half
from ratchet.evaluation.gate import Contender, Verdict, best, judge
from ratchet.evaluation.logged import GATED_AT, Rows
from ratchet.model import model_file
from ratchet.model.metrics import ask
from ratchet.registry.registry import Registry, Version
from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.served_model import ServedModel
from ratchet.settings import Settings

TIMED_CALLS = 20


@dataclass(frozen=True)
class Judgement:
    version: Version
    verdict: Verdict


@dataclass(frozen=True)
class Settlement:
    """The result of a gate: the alias that moved, if one did, and a sentence for people."""

    moved: str | None
    sentence: str
    judged: int = 0  # versions that this holdout has judged so far
    logged: int = 0  # labelled requests since the last gate, in the audit half


def candidates(registry: Registry, requested: str, force: bool) -> list[Version]:
    if requested == "ungated":
        return [v for v in registry.versions() if v.verdict is None and "prod" not in v.aliases]
    version = registry.version(requested)
    if "prod" in version.aliases:
        raise InputError(
            f"{version} is prod; the gate compares others with it. Name another version"
        )
    if version.verdict == "rejected" and not force:
        raise InputError(
            f"{version} was rejected ({version.tags.get('verdict_reason', 'no reason kept')});"
            " force=true judges it again"
        )
    return [version]


def judge_each(
    versions: Sequence[Version], registry: Registry, split: Split, rows: Rows, settings: Settings
) -> Iterator[Judgement]:
    """Judge versions on rows of the holdout and of the log; the logged ones join the audit half."""
    classes = split.table.classes
    prod = registry.holder("prod")
    reference = contender(prod, registry, rows, classes) if prod else None
    if reference is not None and reference.answers is None:
        raise InputError(
            f"prod is {prod} and does not answer: {reference.error}. Does data.source hold the"
            " columns that it was trained on? Retrain, then: mlflow run . -e evaluate"
        )
    is_audit = audit_half(split.table.row_hashes[split.in_holdout], split.holdout[1])
    is_audit = np.append(is_audit, np.ones(rows.logged, dtype=bool))
    for version in versions:
        verdict = judge(
            contender(version, registry, rows, classes),
            reference,
            classes,
            rows.slices,
            settings.metric,
            settings.gate,
            settings.data.seed,
            is_audit,
        )
        yield Judgement(version, verdict)


def contender(version: Version, registry: Registry, rows: Rows, classes: np.ndarray) -> Contender:
    try:
        folder = registry.folder(version)
        answers = ask(model_file.load(folder), rows.features, rows.target, classes, rows.weights)
        latency = served_latency_ms(folder, registry.model, version.number)
    except Exception as error:  # a broken model may raise anything; that it is broken is a verdict
        return Contender(version.number, None, error=" ".join(str(error).split())[:300])
    size = (folder / model_file.FILE).stat().st_size / 1e6
    return Contender(version.number, answers, latency, size)


def served_latency_ms(folder: Path, model: str, version: str) -> float:
    """Return the median time of one prediction by the code that answers in the service."""
    with TemporaryDirectory() as copy:
        served_folder = Path(copy) / version
        copy_from_mlflow(folder, model, version, "", served_folder)
        served = ServedModel(served_folder)
    row, times = served.example()[:1], []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        served.answers(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1000)


def settle(
    judgements: Sequence[Judgement],
    registry: Registry,
    settings: Settings,
    run_id: str,
    logged: int = 0,
) -> Settlement:
    """Move the alias first, then tag: a version that a kill leaves untagged is judged again."""
    settlement = _move(judgements, registry, settings, run_id)
    earlier = {one.number for one in registry.versions() if one.verdict is not None}
    judged = earlier | {judgement.version.number for judgement in judgements}
    for judgement in judgements:
        verdict = "passed" if judgement.verdict.passed else "rejected"
        registry.tag(
            judgement.version,
            verdict=verdict,
            verdict_reason=judgement.verdict.reason,
            gate_run=run_id,
            **{GATED_AT: str(time.time())},
        )
    return replace(settlement, judged=len(judged), logged=logged)


def _blocked(registry: Registry) -> str:
    sentence = "No candidate passed the gate; nothing moved."
    if "prod" in registry.aliases():
        return sentence
    return (
        f"{sentence} There is no prod yet. The table says which limit each candidate missed: try"
        " other configs, or lower gate.floor"
    )


def _move(
    judgements: Sequence[Judgement], registry: Registry, settings: Settings, run_id: str
) -> Settlement:
    if not judgements:
        return Settlement(None, "No version waits for the gate. Train one: mlflow run . -e train")
    chosen = best([judgement.verdict for judgement in judgements], settings.metric)
    if chosen is None:
        return Settlement(None, _blocked(registry))
    alias = "prod" if registry.holder("prod") is None else "staging"
    version = registry.version(chosen.version)
    if alias in version.aliases:
        score = chosen.scores[settings.metric]
        sentence = f"{version} stays {alias}: {settings.metric} {score:.4f}."
        return Settlement(None, sentence)
    score = chosen.scores[settings.metric]
    reason = f"best of {len(judgements)} by {settings.metric} ({score:.4f})"
    registry.move({alias: chosen.version}, f"gate: {reason}", run_id)
    return Settlement(alias, f"{version} is {alias} now: {reason}.")
