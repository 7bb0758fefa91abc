"""Versions through the gate: load, judge, tag, move the alias."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ratchet.data.dataset import Split
from ratchet.errors import InputError
from ratchet.evaluation.gate import Contender, Verdict, best, judge
from ratchet.model import model_file
from ratchet.model.metrics import ask
from ratchet.registry.registry import Registry, Version
from ratchet.settings import Settings
from ratchet.training.train import microseconds_a_prediction


@dataclass(frozen=True)
class Judgement:
    version: Version
    verdict: Verdict


def candidates(registry: Registry, wanted: str, force: bool) -> list[Version]:
    if wanted == "ungated":
        return [v for v in registry.versions() if v.verdict is None and "prod" not in v.aliases]
    version = registry.version(wanted)
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
    versions: Sequence[Version], registry: Registry, split: Split, settings: Settings
) -> Iterator[Judgement]:
    prod = registry.holder("prod")
    reference = contender(prod, registry, split) if prod else None
    if reference is not None and reference.answers is None:
        raise InputError(
            f"prod is {prod} and cannot be asked: {reference.error}. Does data.source hold the"
            " columns that it was trained on? Retrain, then: mlflow run . -e evaluate"
        )
    slices = split.table.slices[split.in_holdout].reset_index(drop=True)
    for version in versions:
        candidate = contender(version, registry, split)
        verdict = judge(
            candidate, reference, split.table.classes, slices,
            settings.metric, settings.gate, settings.data.seed,
        )  # fmt: skip
        yield Judgement(version, verdict)


def contender(version: Version, registry: Registry, split: Split) -> Contender:
    features, target = split.holdout
    try:
        folder = registry.folder(version)
        model = model_file.load(folder)
        answers = ask(model, features, target, split.table.classes)
        latency = microseconds_a_prediction(model, features) / 1000
    except Exception as error:  # a broken model may raise anything; broken is a verdict
        return Contender(version.number, None, error=" ".join(str(error).split())[:300])
    size = (folder / model_file.FILE).stat().st_size / 1e6
    return Contender(version.number, answers, latency, size)


def settle(
    judgements: Sequence[Judgement], registry: Registry, settings: Settings, evidence: str
) -> str:
    """Aliases, then tags: a version that a kill leaves without its verdict is judged again."""
    sentence = _move(judgements, registry, settings, evidence)
    for judgement in judgements:
        verdict = "passed" if judgement.verdict.passed else "rejected"
        registry.tag(
            judgement.version, verdict=verdict, verdict_reason=judgement.verdict.reason,
            gate_run=evidence,
        )  # fmt: skip
    return sentence


def _move(
    judgements: Sequence[Judgement], registry: Registry, settings: Settings, evidence: str
) -> str:
    chosen = best([judgement.verdict for judgement in judgements], settings.metric)
    if chosen is None:
        return "No candidate passed the gate; nothing moved."
    alias = "prod" if registry.holder("prod") is None else "staging"
    version = registry.version(chosen.version)
    if alias in version.aliases:
        return f"{version} stays {alias}: {settings.metric} {chosen.score:.4f}."
    reason = f"best of {len(judgements)} by {settings.metric} ({chosen.score:.4f})"
    registry.move({alias: chosen.version}, f"gate: {reason}", evidence)
    return f"{version} is {alias} now: {reason}."
