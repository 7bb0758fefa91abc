"""One table of `benchmarks.zoo` through the whole line, in the current process and folder."""

import json
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.zoo_tables import read_table, target_of
from ratchet.errors import InputError

if TYPE_CHECKING:
    from ratchet.data.dataset import Split
    from ratchet.model.spec import ModelSpec
    from ratchet.registry.registry import Registry, Version
    from ratchet.serving.served_model import ServedModel
    from ratchet.settings import Settings

REPOSITORY = Path(__file__).parent.parent
MODEL = "zoo"
MOST_ROWS = 400  # the time of some estimators grows with the square or the cube of the rows
MOST_TREES = 5
TURNS_A_DRAWING = 3  # the pictures are drawn for every third table
DRIFT_ROWS = 5000
ROWS_ASKED = 100
SECONDS_TO_FOLLOW = 120
# Parameters that an estimator needs, or that make it quick enough.
PARAMS: dict[str, dict[str, Any]] = {
    **{
        name: {"estimator": {"estimator": "LogisticRegression"}}
        for name in (
            "FixedThresholdClassifier",
            "TunedThresholdClassifierCV",
            "OneVsOneClassifier",
            "OneVsRestClassifier",
            "OutputCodeClassifier",
        )
    },
    **{
        name: {
            "estimators": {
                "a": {"estimator": "LogisticRegression"},
                "b": {"estimator": "DecisionTreeClassifier"},
            }
        }
        for name in ("StackingClassifier", "VotingClassifier")
    },
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.5},
    "RadiusNeighborsClassifier": {"radius": 50.0},
    "CatBoostClassifier": {"n_estimators": 50},
}


@dataclass
class Outcome:
    table: str
    ending: str = "works"  # works, refused or bug
    reason: str = ""
    rows: int = 0
    columns: int = 0
    target: str = ""
    estimators: dict[str, str] = field(default_factory=dict)  # estimator: "" or why it failed
    fits: dict[str, float] = field(default_factory=dict)  # estimator: processor seconds, recorded
    versions: int = 0  # that were saved, loaded and asked
    compiled: int = 0  # versions that are served by the compiled form
    asked: int = 0  # rows that the service answered over HTTP
    bento: str = ""  # the Bento that was built and asked
    disagreements: list[str] = field(default_factory=list)
    drift: str = ""  # the verdict on two random halves
    stages: dict[str, float] = field(default_factory=dict)  # stage: processor seconds
    seconds: float = 0.0
    megabytes: float = 0.0


def estimators(tables: int) -> list[str]:
    """Return one more estimator for each table, so that all are used over the zoo."""
    from ratchet.model.estimators import ALLOWED

    names = sorted(ALLOWED)
    return [names[number % len(names)] for number in range(tables)]


def examine(
    name: str,
    turn: int,
    estimator: str,
    configs: Sequence[str] = (),
    service: str = "",
    packs: bool = False,
) -> Outcome:
    """Take a table through the line.

    Every shipped config is fitted, saved and loaded. One of them, by `turn`, and one more estimator
    are also recorded, registered, judged, packed and asked. `service` is the address of a service
    that follows the store. `packs` also builds a Bento. `configs` limits the shipped configs.
    """
    outcome, began = Outcome(name), time.monotonic()
    try:
        go_through(outcome, turn, estimator, configs, service, packs)
    except InputError as error:
        outcome.ending, outcome.reason = "refused", str(error)
    except Exception:  # any exception is a bug, and this benchmark looks for bugs
        outcome.ending, outcome.reason = "bug", traceback.format_exc()[-1500:]
    outcome.seconds = time.monotonic() - began
    return outcome


def go_through(
    outcome: Outcome, turn: int, estimator: str, configs: Sequence[str], service: str, packs: bool
) -> None:
    from ratchet.data.dataset import load_split
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect
    from ratchet.settings import Settings

    with stage(outcome, "load"):
        frame = read_table(outcome.table, MOST_ROWS)
        outcome.rows, outcome.columns = frame.shape
        outcome.target = target_of(frame)
        frame.to_csv("table.csv", index=False)
        settings = Settings.model_validate(
            {"model": MODEL, "data": {"source": "table.csv", "target": outcome.target}}
        )
        split = load_split(settings.data)
    registry = Registry(connect(), settings.model)
    shipped, more = shipped_specs(configs), one_more(estimator)
    chosen = shipped.pop(turn % len(shipped))
    with stage(outcome, "fit"):
        for spec in shipped:
            fit_and_reload(spec, split, settings.data.seed, outcome)
    with stage(outcome, "train"):
        InlineTask.done = turn % TURNS_A_DRAWING != 0
        train(outcome, [chosen, more], split, settings, registry)
    with stage(outcome, "gate"):
        versions = gate(registry, split, settings)
    with stage(outcome, "serve"):
        served = {version.number: serve(version, registry, split, outcome) for version in versions}
    with stage(outcome, "drift"):
        outcome.drift = drift_of_halves(read_table(outcome.table, DRIFT_ROWS), settings)
    if service and served:
        with stage(outcome, "http"):
            ask_over_http(service, registry, served, split, outcome)
    if packs and served:
        with stage(outcome, "pack"):
            pack_and_ask(registry, outcome)


@contextmanager
def stage(outcome: Outcome, name: str) -> Iterator[None]:
    began = processor_seconds()
    yield
    outcome.stages[name] = round(processor_seconds() - began, 2)


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def shipped_specs(configs: Sequence[str]) -> "list[ModelSpec]":
    from ratchet.model.spec import config_files, read_spec

    files = config_files(REPOSITORY / "configs/models")
    specs = [read_spec(file) for file in files if not configs or file.stem in configs]
    return [replace(spec, params=with_fewer_trees(spec.params)) for spec in specs]


def one_more(estimator: str) -> "ModelSpec":
    from ratchet.model.spec import parse_spec

    content = {"estimator": estimator, "params": PARAMS.get(estimator, {})}
    return parse_spec("one-more", content, "one-more.yaml")


def with_fewer_trees(value: Any) -> Any:
    """Return parameters with `MOST_TREES` trees, also those of inner configs."""
    if not isinstance(value, Mapping):
        return value
    trees = ("n_estimators", "max_iter") if "early_stopping" in value else ("n_estimators",)
    return {
        name: MOST_TREES if name in trees else with_fewer_trees(inner)
        for name, inner in value.items()
    }


class InlineTask:
    """A `Task` that runs here, unless it is done: configs of a table have similar pictures."""

    done = False

    def __init__(self, name: str, *arguments: Any) -> None:
        module, _, function = name.rpartition(".")
        if not InlineTask.done:
            getattr(import_module(module), function)(*arguments)
        InlineTask.done = True

    def result(self) -> None: ...

    def stop(self) -> None: ...


def fit_and_reload(spec: "ModelSpec", split: "Split", seed: int, outcome: Outcome) -> None:
    """Fit a config, save it and load it, and compare the answers of both."""
    import skops.io

    from ratchet.errors import one_line
    from ratchet.model import model_file
    from ratchet.model.spec import build

    folder, began = Path("fitted"), processor_seconds()
    folder.mkdir(exist_ok=True)
    try:
        model = build(spec, split.table.kinds, dict(split.table.features.dtypes), seed)
        model.fit(*split.train)
    except Exception as error:  # an estimator may raise anything; training reports it as one line
        outcome.estimators[spec.estimator] = one_line(error)
        return
    skops.io.dump(model, folder / model_file.FILE)
    loaded = model_file.load(folder)
    answers = [np.asarray(one.predict(split.holdout[0])).tolist() for one in (loaded, model)]
    note_differences(outcome, f"{spec.name}, saved and loaded", *answers)
    outcome.estimators[spec.estimator] = ""
    outcome.fits[spec.estimator] = round(processor_seconds() - began, 3)


def train(
    outcome: Outcome,
    chosen: "Sequence[ModelSpec]",
    split: "Split",
    settings: "Settings",
    registry: "Registry",
) -> None:
    from ratchet.registry.tracking import step_run
    from ratchet.training import record

    with step_run("train"), patch.object(record, "Task", InlineTask):
        for spec in chosen:
            began = processor_seconds()
            (trained,) = record.train_and_register([spec], split, settings, registry, True, 1)
            outcome.estimators[spec.estimator] = trained.reason
            outcome.fits[spec.estimator] = round(processor_seconds() - began, 3)


def gate(registry: "Registry", split: "Split", settings: "Settings") -> "list[Version]":
    """Judge the new versions; return those that answer, because no other is ever served."""
    from ratchet.evaluation.judge import candidates, judge_each, settle
    from ratchet.registry.tracking import step_run

    registry.move(dict.fromkeys(registry.aliases()), "the next table", "zoo")
    with step_run("evaluate") as run:
        waiting = candidates(registry, "ungated", False)
        judgements = list(judge_each(waiting, registry, split, settings))
        settle(judgements, registry, settings, run.info.run_id)
    return [one.version for one in judgements if one.verdict.scores]


def serve(
    version: "Version", registry: "Registry", split: "Split", outcome: Outcome
) -> "ServedModel":
    """Copy the version as a Bento does, ask it by JSON, and compare with the trained pipeline."""
    from ratchet.model import model_file
    from ratchet.serving.served_model import ServedModel, copy_from_mlflow, same

    source, copy = registry.folder(version), Path("served") / version.number
    copy_from_mlflow(source, registry.model, version.number, str(version), copy)
    served = ServedModel(copy)
    features = split.holdout[0].head(ROWS_ASKED)
    request, _ = served.inputs.read(body_of(features))
    answers = [json.loads(answer) for answer, _ in served.answers(request.values)]
    expected = np.asarray(model_file.load(source).predict(features)).tolist()
    outcome.versions += 1
    note_differences(outcome, f"{version} by JSON", answers, expected)
    if served.direct:
        outcome.compiled += 1
        if not same(served.direct(request.values), served.by_pipeline(request.values)):
            outcome.disagreements.append(f"{version}: the compiled form answers otherwise.")
    return served


def note_differences(
    outcome: Outcome, what: str, answers: Sequence[object], expected: Sequence[object]
) -> None:
    if list(answers) != list(expected):
        wrong = sum(one != other for one, other in zip(answers, expected, strict=True))
        outcome.disagreements.append(f"{what}: {wrong} of {len(answers)} answers differ.")


def body_of(features: pd.DataFrame) -> bytes:
    return json.dumps(
        [{"user_id": f"u{i}", "features": row} for i, row in enumerate(rows_of(features))]
    ).encode()


def rows_of(features: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return the rows as JSON has them: None for a missing value, and dates as text."""
    cells = features.astype(object).where(features.notna(), None)
    return [
        {str(k): v.isoformat() if isinstance(v, pd.Timestamp) else v for k, v in row.items()}
        for row in cells.to_dict("records")
    ]


def drift_of_halves(frame: pd.DataFrame, settings: "Settings") -> str:
    """Compare two random halves of the table, which do not differ but by chance."""
    from ratchet.drift.checks import Checks
    from ratchet.drift.drift import find_drift
    from ratchet.drift.reference import Reference
    from ratchet.profile.reading import read_reference
    from ratchet.registry.tracking import connect

    shuffled = frame.sample(frac=1, random_state=1)
    middle = len(shuffled) // 2
    shuffled[:middle].to_csv("before.csv", index=False)
    shuffled[middle:].to_csv("now.csv", index=False)
    before = Reference("before.csv", read_reference("before.csv", settings.data))
    drift = find_drift("now.csv", before, Checks(connect(), settings.model), settings)
    return str(drift.conclusion.verdict)


def ask_over_http(
    service: str,
    registry: "Registry",
    served: "Mapping[str, ServedModel]",
    split: "Split",
    outcome: Outcome,
) -> None:
    """Let the service follow two versions of the table, and compare its answers with theirs."""
    from ratchet.packaging.running import ask

    roles = aliases_to_ask(registry, served)
    wait_until_served(service, roles)
    features = split.holdout[0].head(ROWS_ASKED)
    answers = ask(f"{service}/predict", json.loads(body_of(features)))
    for number in set(roles.values()):
        model = served[number]
        request, _ = model.inputs.read(body_of(features))
        expected = [json.loads(answer) for answer, _ in model.answers(request.values)]
        pairs = [
            (answer["prediction"], label)
            for answer, label in zip(answers, expected, strict=True)
            if answer["model_version"] == number and not answer["fallback"]
        ]
        outcome.asked += len(pairs)
        note_differences(outcome, f"v{number} over HTTP", *zip(*pairs, strict=True))


def aliases_to_ask(registry: "Registry", served: "Mapping[str, ServedModel]") -> dict[str, str]:
    """Make the last other version staging, so that both arms answer. Return the aliases."""
    aliases = registry.aliases()
    prod = aliases.get("prod") or next(iter(served))
    others = [n for n, one in served.items() if one.interface == served[prod].interface]
    roles = {"prod": prod}
    if others := [number for number in others if number != prod]:
        roles["staging"] = max(others, key=int)
    registry.move(roles, "the zoo asks both arms", "zoo")
    return roles


def wait_until_served(service: str, roles: Mapping[str, str]) -> None:
    from ratchet.packaging.running import ask

    end = time.monotonic() + SECONDS_TO_FOLLOW
    while time.monotonic() < end:
        status = ask(f"{service}/status")
        if {role: status[role]["version"] for role in roles if status[role]} == roles:
            return
        refused = {n: why for n, why in status["refused"].items() if n in roles.values()}
        if refused or status["failures"]:
            raise AssertionError(f"the service refuses {refused or status['failures']}")
        time.sleep(0.1)
    raise AssertionError(f"the service does not follow the aliases {roles}: {status}")


def pack_and_ask(registry: "Registry", outcome: Outcome) -> None:
    from ratchet.packaging.bento import pack
    from ratchet.packaging.smoke import ask_each_arm

    prod, staging = registry.holder("prod"), registry.holder("staging")
    assert prod is not None
    bento = pack(prod, staging, registry, REPOSITORY / "bentos")
    answers = ask_each_arm(Path(bento.path))
    outcome.bento = f"{bento.tag}: arms {', '.join(answers)}"


def use_store(folder: Path) -> None:
    """Make the folder the current one, with a new store; its first user creates the tables."""
    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    os.environ["BENTOML_HOME"] = f"{folder}/bentoml"
