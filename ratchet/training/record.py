"""Records of trained models: an MLflow run with all inputs and results, and a model version."""

import hashlib
import importlib.metadata
import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ratchet.columns import column_type
from ratchet.data.split import Split
from ratchet.data.split_record import record_of, sentence
from ratchet.errors import InputError, one_line
from ratchet.model.metrics import Answers
from ratchet.model.model_file import TRUSTED
from ratchet.model.spec import ModelSpec, libraries
from ratchet.processes import Task
from ratchet.profile.reading import FOLDER, Reading, read_training, with_answers
from ratchet.registry.provenance import provenance
from ratchet.registry.registry import Registry, Version
from ratchet.registry.tracking import nested_run
from ratchet.settings import Settings
from ratchet.training.train import Failed, Trained, logged_warnings, train_each

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

DRAW = "ratchet.training.pictures.draw"
PACKAGES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
"""The packages that every model needs to be loaded; some estimators need one more."""
INPUTS = ("config_sha256", "data_sha256", "lock_sha256")
"""The tags that identify what a model is trained from. If they are equal, the models are equal."""


@dataclass(frozen=True)
class Outcome:
    config: str
    status: str  # trained, skipped or failed
    version: str | None = None
    run_id: str | None = None
    metrics: dict[str, float] | None = None
    reason: str = ""


def train_and_register(
    specs: Sequence[ModelSpec],
    split: Split,
    settings: Settings,
    registry: Registry,
    force: bool,
    jobs: int,
) -> Iterator[Outcome]:
    """Train and register each spec that is new or changed; with `force`, each one."""
    known = _versions_by_inputs(registry)
    new_specs: dict[str, ModelSpec] = {}
    for spec in specs:
        same = known.get(_inputs(run_tags(spec, split)))
        if same and not force:
            reason = f"config, data and lock are those of v{same.number}"
            yield Outcome(spec.name, "skipped", same.number, reason=reason)
        elif spec.sha256 in new_specs:
            reason = f"has the same content as {new_specs[spec.sha256].name}"
            yield Outcome(spec.name, "skipped", reason=reason)
        else:
            new_specs[spec.sha256] = spec
    if not new_specs:
        return
    profile = read_training(*split.train, split.table.kinds)
    for result in train_each(list(new_specs.values()), split, settings.data.seed, jobs):
        if isinstance(result, Failed):
            _log_failure(result.spec, result.log)
            yield Outcome(result.spec.name, "failed", reason=result.reason)
        else:
            yield _register(result, split, profile, settings, registry)


def register_trained(
    trained: Trained, split: Split, settings: Settings, registry: Registry
) -> Outcome:
    """Register a trained model, unless its config, data and lock have a version already."""
    same = _versions_by_inputs(registry).get(_inputs(run_tags(trained.spec, split)))
    if same:
        return Outcome(trained.spec.name, "skipped", same.number, same.run_id, trained.metrics)
    profile = read_training(*split.train, split.table.kinds)
    return _register(trained, split, profile, settings, registry)


def _register(
    trained: Trained, split: Split, profile: Reading, settings: Settings, registry: Registry
) -> Outcome:
    name = trained.spec.name
    try:
        version = record(trained, split, profile, settings, registry)
    except Exception as error:  # anything that saving, drawing or registering raises
        _log_failure(trained.spec, trained.log + traceback.format_exc())
        return Outcome(name, "failed", reason=one_line(error))
    return Outcome(name, "trained", version.number, version.run_id, trained.metrics)


def _log_failure(spec: ModelSpec, text: str) -> None:
    """Keep the traceback of a failed config as an artifact of the step's run, if it has one."""
    import mlflow

    if mlflow.active_run():
        mlflow.log_text(text, f"failed/{spec.name}.txt")


def _versions_by_inputs(registry: Registry) -> dict[tuple[str | None, ...], Version]:
    return {_inputs(version.tags): version for version in reversed(registry.versions())}


def _inputs(tags: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(tags.get(key) for key in INPUTS)


def run_tags(spec: ModelSpec, split: Split) -> dict[str, str]:
    return provenance().tags() | {
        "config": spec.name,
        "config_sha256": spec.sha256,
        "data_sha256": split.sha256,
    }


def record(
    trained: Trained, split: Split, profile: Reading, settings: Settings, registry: Registry
) -> Version:
    import mlflow

    tags = run_tags(trained.spec, split) | {
        "predictions_sha256": predictions_sha256(trained.answers),
        "split": sentence(record_of(split)),
    }
    with nested_run(trained.spec.name, tags) as run:
        with logged_warnings() as log, _files(trained, split, profile):
            _log_facts(trained, split, settings)
            model_id = _log_model(trained, split)
        if text := trained.log + log.getvalue():
            mlflow.log_text(text, "log.txt")
    return registry.register(run.info.run_id, model_id, tags)


def predictions_sha256(answers: Answers) -> str:
    digest = hashlib.sha256(answers.labels.astype("int64").tobytes())
    if answers.probabilities is not None:
        digest.update(np.ascontiguousarray(answers.probabilities).tobytes())
    return digest.hexdigest()


@contextmanager
def _files(trained: Trained, split: Split, profile: Reading) -> Iterator[None]:
    """Log the config, the split, the profile and the pictures.

    Another process draws the pictures while the `with` block runs.
    """
    import mlflow

    classes, answers = split.table.classes, trained.answers
    figures = (answers, classes, trained.metrics, trained.importances)
    with TemporaryDirectory(prefix="ratchet-run-") as name:
        folder = Path(name)
        drawing = Task(DRAW, *figures, folder)
        try:
            config = json.dumps(trained.spec.as_config(), indent=2)
            (folder / f"{trained.spec.name}.json").write_text(config + "\n")
            facts = json.dumps(record_of(split), indent=2)
            (folder / "split.json").write_text(facts + "\n")
            predicted, truth = classes[answers.labels], classes[answers.truth]
            with_answers(profile, predicted, truth).save(folder / FOLDER)
            yield
            drawing.result()
        finally:  # the folder is deleted now, so the process must not draw into it any more
            drawing.stop()
        mlflow.log_artifacts(name)


def _log_facts(trained: Trained, split: Split, settings: Settings) -> None:
    import mlflow
    from mlflow.data.pandas_dataset import from_pandas

    features, target = split.train
    mlflow.log_params({k: str(v)[:6000] for k, v in trained.spec.flat_params.items()})
    mlflow.log_metrics(trained.metrics)
    frame = features.copy(deep=False)
    frame[settings.data.target] = target
    dataset = from_pandas(
        frame,
        targets=settings.data.target,
        name=split.table.name.split("/")[-1],
        digest=split.sha256[:36],
    )
    mlflow.log_input(dataset, context="training", tags={"sha256": split.sha256})


def _log_model(trained: Trained, split: Split) -> str:
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException
    from mlflow.utils import requirements_utils

    # The package versions below are those that are installed. MLflow would check them again. For
    # this check it indexes every module of every package, which takes half of log_model's time.
    # MLflow also accepts an empty index, and then does not build one.
    requirements_utils._MODULES_TO_PACKAGES = {}  # type: ignore[assignment]
    packages = sorted([*PACKAGES, *libraries(trained.spec)])
    try:
        logged = mlflow.sklearn.log_model(
            trained.model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED),
            pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in packages],
            signature=_signature(split),
            input_example=split.train[0].head(5),
        )
    except MlflowException as error:
        if "skops serialization format" not in str(error):
            raise
        raise InputError(
            f"{trained.spec.estimator} with these params cannot be saved without pickle"
        ) from None
    return str(logged.model_id)


def _signature(split: Split) -> "ModelSignature":
    """Return the signature, from the column kinds; an example cannot show what may be missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    table = split.table
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(column_type(kind, table.features[name].dtype), name)
        for name, kind in table.kinds.items()
    ]
    answer = {"b": "boolean", "i": "long"}.get(table.target.dtype.kind, "string")
    return ModelSignature(Schema(columns), Schema([ColSpec(answer)]))
