"""A trained model on record: everything that made it, in one MLflow run, then a version of it."""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.columns import column_type
from ratchet.data.dataset import Split
from ratchet.model.metrics import Answers
from ratchet.model.model_file import TRUSTED
from ratchet.model.spec import ModelSpec
from ratchet.processes import finish, start
from ratchet.profile.reading import FOLDER, Reading, read_training, with_answers
from ratchet.registry.provenance import provenance
from ratchet.registry.registry import Registry, Version
from ratchet.registry.tracking import nested_run
from ratchet.settings import Settings
from ratchet.training.train import Failed, Trained, train_each

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

SERVING = ("lightgbm", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
LIKENESS = ("config_sha256", "data_sha256", "lock_sha256")
"""What must be the same for a run to be the same; compared by `train` and by `reproduce`."""


class UnsavedError(Exception):
    pass


@dataclass(frozen=True)
class Outcome:
    config: str
    status: str  # trained, skipped or failed
    version: str | None = None
    run_id: str | None = None
    metrics: dict[str, float] | None = None
    reason: str = ""


def train_and_register(
    specs: Sequence[ModelSpec], split: Split, settings: Settings, registry: Registry,
    force: bool, jobs: int,
) -> Iterator[Outcome]:  # fmt: skip
    """What is new or changed since the last time; all of it, where forced."""
    made = _made(registry)
    wanted: dict[str, ModelSpec] = {}
    for spec in specs:
        same = made.get(_likeness(run_tags(spec, split)))
        if same and not force:
            yield _skipped(spec, f"config, data and lock are those of v{same.number}", same.number)
        elif spec.sha256 in wanted:
            yield _skipped(spec, f"says the same as {wanted[spec.sha256].name}")
        else:
            wanted[spec.sha256] = spec
    if not wanted:
        return
    seen = read_training(*split.train, split.table.kinds)
    for result in train_each(list(wanted.values()), split, settings.data.seed, jobs):
        if isinstance(result, Failed):
            yield Outcome(result.spec.name, "failed", reason=result.reason)
        else:
            yield _recorded(result, split, seen, settings, registry)


def _recorded(
    trained: Trained, split: Split, seen: Reading, settings: Settings, registry: Registry
) -> Outcome:
    name = trained.spec.name
    try:
        version = record(trained, split, seen, settings, registry)
    except UnsavedError as error:
        return Outcome(name, "failed", reason=str(error))
    return Outcome(name, "trained", version.number, version.run_id, trained.metrics)


def recorded(trained: Trained, split: Split, settings: Settings, registry: Registry) -> Outcome:
    """One that is trained already: a version, unless its config, data and lock have one."""
    same = _made(registry).get(_likeness(run_tags(trained.spec, split)))
    if same:
        return Outcome(trained.spec.name, "skipped", same.number, same.run_id, trained.metrics)
    seen = read_training(*split.train, split.table.kinds)
    return _recorded(trained, split, seen, settings, registry)


def _made(registry: Registry) -> dict[tuple[str | None, ...], Version]:
    return {_likeness(version.tags): version for version in reversed(registry.versions())}


def _skipped(spec: ModelSpec, reason: str, version: str | None = None) -> Outcome:
    return Outcome(spec.name, "skipped", version, reason=reason)


def _likeness(tags: Any) -> tuple[str | None, ...]:
    return tuple(tags.get(key) for key in LIKENESS)


def run_tags(spec: ModelSpec, split: Split) -> dict[str, str]:
    return provenance().tags() | {
        "config": spec.name,
        "config_sha256": spec.sha256,
        "data_sha256": split.sha256,
    }


def record(
    trained: Trained, split: Split, seen: Reading, settings: Settings, registry: Registry
) -> Version:
    tags = run_tags(trained.spec, split) | {
        "predictions_sha256": predictions_sha256(trained.answers)
    }
    with nested_run(trained.spec.name, tags) as run:
        model_id = _log(trained, split, seen, settings)
    return registry.register(run.info.run_id, model_id, tags)


def predictions_sha256(answers: Answers) -> str:
    digest = hashlib.sha256(answers.labels.astype("int64").tobytes())
    if answers.probabilities is not None:
        digest.update(np.ascontiguousarray(answers.probabilities).tobytes())
    return digest.hexdigest()


def _log(trained: Trained, split: Split, seen: Reading, settings: Settings) -> str:
    with _files(trained, split, seen):
        _log_facts(trained, split, settings)
        return _log_model(trained, split)


@contextmanager
def _files(trained: Trained, split: Split, seen: Reading) -> Iterator[None]:
    """Config, profile and pictures, which another process draws while this one logs the rest."""
    import mlflow

    shown = (trained.answers, split.table.classes, trained.metrics, trained.importances)
    with TemporaryDirectory() as folder:
        drawing = start("ratchet.training.pictures.draw", *shown, Path(folder))
        config = json.dumps(trained.spec.as_config(), indent=2)
        (Path(folder) / f"{trained.spec.name}.json").write_text(config + "\n")
        classes, answers = split.table.classes, trained.answers
        answered = with_answers(seen, classes[answers.labels], classes[answers.truth])
        answered.save(Path(folder) / FOLDER)
        try:
            yield
            finish(drawing)
        finally:  # where logging failed, it would draw into a folder that is gone
            drawing.kill()
            drawing.join()
        mlflow.log_artifacts(folder)


def _log_facts(trained: Trained, split: Split, settings: Settings) -> None:
    import mlflow
    from mlflow.data.pandas_dataset import from_pandas

    features, target = split.train
    mlflow.log_params(trained.spec.flat_params)
    mlflow.log_metrics(trained.metrics)
    dataset = from_pandas(
        features.assign(**{settings.data.target: target}), targets=settings.data.target,
        name=split.table.name.split("/")[-1], digest=split.sha256[:36],
    )  # fmt: skip
    mlflow.log_input(dataset, context="training", tags={"sha256": split.sha256})


def _log_model(trained: Trained, split: Split) -> str:
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException
    from mlflow.utils import requirements_utils

    # The pins below are read from what is installed. MLflow compares them with it once more, and
    # indexes every module of every package for that, half of log_model's time. It takes this index.
    requirements_utils._MODULES_TO_PACKAGES = {}  # type: ignore[assignment]
    try:
        logged = mlflow.sklearn.log_model(
            trained.model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in SERVING],
            signature=_signature(split),
            input_example=split.train[0].head(5),
        )
    except MlflowException as error:
        if "skops serialization format" not in str(error):
            raise
        raise UnsavedError(
            f"{trained.spec.estimator} with these params cannot be saved without pickle"
        ) from None
    return str(logged.model_id)


def _signature(split: Split) -> "ModelSignature":
    """By column kind: what is inferred from an example forgets that a number may be missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    table = split.table
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(column_type(kind, table.features[name].dtype), name)
        for name, kind in table.kinds.items()
    ]
    answer = {"b": "boolean", "i": "long"}.get(table.target.dtype.kind, "string")
    return ModelSignature(Schema(columns), Schema([ColSpec(answer)]))
