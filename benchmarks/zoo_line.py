"""One table of `benchmarks.zoo` through the whole line, in the current process and folder."""

import time
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import skops.io

from benchmarks.zoo_models import one_more, shipped_specs
from benchmarks.zoo_outcome import Outcome, processor_seconds
from benchmarks.zoo_serving import ask_over_http, pack_and_ask, serve
from benchmarks.zoo_tables import read_table
from ratchet.data.split import Split, load_split
from ratchet.drift.checks import Checks
from ratchet.drift.drift import find_drift
from ratchet.drift.reference import Reference
from ratchet.errors import InputError, one_line
from ratchet.evaluation.judge import candidates, judge_each, settle
from ratchet.evaluation.logged import holdout_rows
from ratchet.model import model_file
from ratchet.model.spec import ModelSpec, build
from ratchet.profile.reading import read_reference
from ratchet.registry.registry import Registry, Version
from ratchet.registry.tracking import connect, step_run
from ratchet.settings import Settings
from ratchet.training import record
from ratchet.training.train import logged_warnings

MODEL = "zoo"
MOST_ROWS = 400  # the time of some estimators grows with the square or the cube of the rows
DRIFT_ROWS = 5000
TURNS_A_DRAWING = 3  # the pictures are drawn for every third table


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
    with outcome.stage("load"):
        frame, outcome.target = read_table(outcome.table, MOST_ROWS)
        outcome.rows, outcome.columns = frame.shape
        frame.to_csv("table.csv", index=False)
        settings = Settings.model_validate(
            {"model": MODEL, "data": {"source": "table.csv", "target": outcome.target}}
        )
        split = load_split(settings.data)
    registry = Registry(connect(), settings.model)
    shipped, more = shipped_specs(configs), one_more(estimator)
    chosen = shipped.pop(turn % len(shipped))
    with outcome.stage("fit"):
        for spec in shipped:
            fit_and_reload(spec, split, settings.data.seed, outcome)
    with outcome.stage("train"):
        InlineTask.done = turn % TURNS_A_DRAWING != 0
        train(outcome, [chosen, more], split, settings, registry)
    with outcome.stage("gate"):
        versions = gate(registry, split, settings)
    with outcome.stage("serve"):
        served = {version.number: serve(version, registry, split, outcome) for version in versions}
    with outcome.stage("drift"):
        outcome.drift = drift_of_halves(read_table(outcome.table, DRIFT_ROWS)[0], settings)
    if service and served:
        with outcome.stage("http"):
            ask_over_http(service, registry, served, split, outcome)
    if packs and served:
        with outcome.stage("pack"):
            pack_and_ask(registry, outcome)


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


def fit_and_reload(spec: ModelSpec, split: Split, seed: int, outcome: Outcome) -> None:
    """Fit a config, save it and load it, and compare the answers of both."""
    folder, began = Path("fitted"), processor_seconds()
    folder.mkdir(exist_ok=True)
    with logged_warnings():
        try:
            model = build(spec, split.table.kinds, dict(split.table.features.dtypes), seed)
            model.fit(*split.train)
            expected = np.asarray(model.predict(split.holdout[0])).tolist()
        except Exception as error:  # an estimator may raise anything; training reports one line
            outcome.estimators[spec.estimator] = one_line(error)
            return
    skops.io.dump(model, folder / model_file.FILE)
    answers = np.asarray(model_file.load(folder).predict(split.holdout[0])).tolist()
    outcome.compare(f"{spec.name}, saved and loaded", answers, expected)
    outcome.estimators[spec.estimator] = ""
    outcome.fits[spec.estimator] = round(processor_seconds() - began, 3)


def train(
    outcome: Outcome,
    chosen: Sequence[ModelSpec],
    split: Split,
    settings: Settings,
    registry: Registry,
) -> None:
    with step_run("train"), patch.object(record, "Task", InlineTask):
        for spec in chosen:
            began = processor_seconds()
            (trained,) = record.train_and_register([spec], split, settings, registry, True, 1)
            outcome.estimators[spec.estimator] = trained.reason
            outcome.fits[spec.estimator] = round(processor_seconds() - began, 3)


def gate(registry: Registry, split: Split, settings: Settings) -> list[Version]:
    """Judge the new versions; return those that answer, because no other is ever served."""
    registry.move(dict.fromkeys(registry.aliases()), "the next table", "zoo")
    with step_run("evaluate") as run:
        waiting = candidates(registry, "ungated", False)
        judgements = list(judge_each(waiting, registry, split, holdout_rows(split), settings))
        settle(judgements, registry, settings, run.info.run_id)
    return [one.version for one in judgements if one.verdict.scores]


def drift_of_halves(frame: pd.DataFrame, settings: Settings) -> str:
    """Compare two random halves of the table, which do not differ but by chance."""
    shuffled = frame.sample(frac=1, random_state=1)
    middle = len(shuffled) // 2
    shuffled[:middle].to_csv("before.csv", index=False)
    shuffled[middle:].to_csv("now.csv", index=False)
    before = Reference("before.csv", read_reference("before.csv", settings.data))
    drift = find_drift("now.csv", before, Checks(connect(), settings.model), settings)
    return str(drift.conclusion.verdict)
