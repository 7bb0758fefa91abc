"""A model config and a split -> a fitted model and what it scores. MLflow stays outside."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ratchet.data.dataset import Split
from ratchet.model.metrics import Answers, ask, scores
from ratchet.model.spec import ModelSpec, build
from ratchet.processes import forkserver

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class Trained:
    spec: ModelSpec
    model: "Pipeline"
    answers: Answers
    metrics: dict[str, float]
    importances: dict[str, float]


@dataclass(frozen=True)
class Failed:
    spec: ModelSpec
    reason: str


def train_each(
    specs: Sequence[ModelSpec], split: Split, seed: int, jobs: int
) -> Iterator[Trained | Failed]:
    """In the order in which they end; each in a process of its own, so one that dies dies alone."""
    if len(specs) == 1:
        yield _attempt(specs[0], split, seed)
        return
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_in_own_process, spec, split, seed) for spec in specs]
        for done in as_completed(waiting):
            yield done.result()


def _in_own_process(spec: ModelSpec, split: Split, seed: int) -> Trained | Failed:
    here, there = forkserver.Pipe(duplex=False)
    process = forkserver.Process(target=_send, args=(there, spec, split, seed), daemon=True)
    process.start()
    there.close()
    try:
        result: Trained | Failed = here.recv()
    except EOFError:
        process.join()
        return Failed(spec, f"its process died (exit code {process.exitcode}); out of memory?")
    process.join()
    return result


def _send(there: Any, spec: ModelSpec, split: Split, seed: int) -> None:
    there.send(_attempt(spec, split, seed))


def _attempt(spec: ModelSpec, split: Split, seed: int) -> Trained | Failed:
    try:
        return train(spec, split, seed)
    except Exception as error:  # an estimator may raise anything; it fails alone and is named
        return Failed(spec, " ".join(str(error).split()) or type(error).__name__)


def train(spec: ModelSpec, split: Split, seed: int) -> Trained:
    """On one thread: sums in another order are other sums, and a run must be made again exactly."""
    from threadpoolctl import threadpool_limits

    table = split.table
    features, target = split.train
    with threadpool_limits(limits=1):
        model = build(spec, table.kinds, dict(table.features.dtypes), seed)
        started = time.perf_counter()
        model.fit(features, target)
        fit_seconds = time.perf_counter() - started
        held_out, truth = split.holdout
        answers = ask(model, held_out, truth, table.classes)
        measured = scores(answers) | {
            "fit_seconds": fit_seconds,
            "prediction_us": microseconds_a_prediction(model, held_out),
        }
        return Trained(spec, model, answers, measured, _importances(model, held_out, truth, seed))


def microseconds_a_prediction(model: "Pipeline", features: pd.DataFrame, calls: int = 10) -> float:
    row, times = features.head(1), []
    for _ in range(calls):
        started = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - started)
    return float(np.median(times) * 1e6)


def _importances(
    model: "Pipeline", features: pd.DataFrame, truth: np.ndarray, seed: int, most_rows: int = 2000
) -> dict[str, float]:
    """How much accuracy is lost when a column is shuffled, in the holdout."""
    rng = np.random.default_rng(seed)
    if len(features) > most_rows:
        rows = rng.choice(len(features), most_rows, replace=False)
        features, truth = features.iloc[rows], truth[rows]
    base = (model.predict(features) == truth).mean()
    lost = {}
    for name in features:
        order = [rng.permutation(len(features)) for _ in range(3)]
        shuffled = [features.assign(**{str(name): features[name].to_numpy()[o]}) for o in order]
        lost[str(name)] = float(
            base - np.mean([(model.predict(x) == truth).mean() for x in shuffled])
        )
    return lost
