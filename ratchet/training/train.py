"""Training without MLflow: a model config and a split become a fitted model and its metrics."""

import os
import pickle
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet.data.split import Split
from ratchet.errors import one_line
from ratchet.model.metrics import Answers, ask, scores
from ratchet.model.spec import ModelSpec, build
from ratchet.processes import Task, TaskError
from ratchet.training.inner_folds import following_the_split
from ratchet.training.weighted_fit import fit

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SHUFFLED_ROWS = 20_000  # rows to predict for the importances, all columns together, at least
FEWEST_ROWS = 50  # of the holdout, for the importance of a column


@dataclass(frozen=True)
class Trained:
    spec: ModelSpec
    model: "Pipeline"
    answers: Answers
    metrics: dict[str, float]
    importances: dict[str, float]
    log: str = ""  # what the libraries printed and warned during training


@dataclass(frozen=True)
class Failed:
    spec: ModelSpec
    reason: str
    log: str = ""


def train_each(
    specs: Sequence[ModelSpec], split: Split, seed: int, jobs: int
) -> Iterator[Trained | Failed]:
    """Train the specs, and yield the results in the order they finish.

    `jobs` is the number of processes; 0 means one for each core.

    Several specs are trained in a process each, so that a crash, such as running out of memory, is
    the failure of one spec only. A single one needs no second process that loads scikit-learn.
    """
    if len(specs) == 1:
        yield _train_here(specs[0], split, seed)
        return
    waiting, jobs = list(enumerate(specs)), jobs or os.cpu_count() or 1
    running: dict[Any, tuple[ModelSpec, Task, Path]] = {}
    with TemporaryDirectory(prefix="ratchet-train-") as name:
        folder = Path(name)
        (folder / "split").write_bytes(pickle.dumps(split, protocol=5))

        def fill() -> None:
            while waiting and len(running) < jobs:
                number, spec = waiting.pop(0)
                log = folder / f"{number}.log"
                task = Task(f"{__name__}.train_from_file", spec, folder / "split", seed, log=log)
                running[task.ready] = (spec, task, log)

        try:
            fill()
            while running:
                spec, task, log = running.pop(wait(list(running))[0])
                result = _result(spec, task)
                fill()
                yield replace(result, log=log.read_text(errors="replace"))
        finally:
            for _, task, _ in running.values():
                task.stop()


def _train_here(spec: ModelSpec, split: Split, seed: int) -> Trained | Failed:
    with logged_warnings() as log:
        try:
            result: Trained | Failed = train(spec, split, seed)
        except Exception as error:  # an estimator may raise anything
            log.write(traceback.format_exc())
            result = Failed(spec, one_line(error))
    return replace(result, log=log.getvalue())


@contextmanager
def logged_warnings() -> Iterator[StringIO]:
    """Write each different warning to the log in place of the terminal."""
    log = StringIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield log
    for line in dict.fromkeys(f"{one.category.__name__}: {one.message}\n" for one in caught):
        log.write(line)


def _result(spec: ModelSpec, task: Task) -> Trained | Failed:
    try:
        trained: Trained = task.result()
    except TaskError as error:
        return Failed(spec, str(error))
    return trained


def train_from_file(spec: ModelSpec, split: Path, seed: int) -> Trained:
    return train(spec, pickle.loads(split.read_bytes()), seed)  # noqa: S301  (written above)


def train(spec: ModelSpec, split: Split, seed: int) -> Trained:
    from threadpoolctl import threadpool_limits

    table = split.table
    features, target = split.train
    with threadpool_limits(limits=1):  # see ONE_THREAD in model/spec.py
        model = build(spec, table.kinds, dict(table.features.dtypes), seed)
        started = time.perf_counter()
        with following_the_split(model, split, seed):
            unweighted = fit(model, features, target, split.train_weights)
        fit_seconds = time.perf_counter() - started
        held_out, truth = split.holdout
        answers = ask(model, held_out, truth, table.classes, split.holdout_weights)
        if unweighted:
            warnings.warn(f"Fitted without data.weight: {', '.join(unweighted)}", stacklevel=2)
        metrics = scores(answers) | {
            "fit_seconds": fit_seconds,
            "prediction_us": microseconds_a_prediction(model, held_out),
        }
        return Trained(spec, model, answers, metrics, _importances(model, held_out, truth, seed))


def microseconds_a_prediction(model: "Pipeline", features: pd.DataFrame, calls: int = 10) -> float:
    row, times = features.head(1), []
    for _ in range(calls):
        started = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e6)


def _importances(
    model: "Pipeline", features: pd.DataFrame, truth: np.ndarray, seed: int, repeats: int = 3
) -> dict[str, float]:
    """Return the accuracy on the holdout that is lost if a column is shuffled, for each column.

    The number of rows is limited so that this costs about as much as predicting the holdout once.
    """
    rng = np.random.default_rng(seed)
    most = max(len(features), SHUFFLED_ROWS) // (repeats * features.shape[1])
    rows = rng.permutation(len(features))[: max(most, FEWEST_ROWS)]
    truth, features = truth[rows], features.iloc[rows]
    accuracy = (model.predict(features) == truth).mean()
    copies = features.iloc[np.tile(np.arange(len(rows)), repeats)].reset_index(drop=True)
    orders = np.concatenate([rng.permutation(len(rows)) for _ in range(repeats)])

    def shuffled_accuracy(name: Any) -> float:
        frame = copies.copy(deep=False)
        frame[name] = features[name].iloc[orders].reset_index(drop=True)
        return float((model.predict(frame) == np.tile(truth, repeats)).mean())

    return {str(name): float(accuracy - shuffled_accuracy(name)) for name in features}
