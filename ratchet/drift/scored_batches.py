"""The batches that a version scored, as the current data of a check: score runs keep profiles."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ratchet.errors import InputError
from ratchet.profile.profile import Counts
from ratchet.profile.reading import FOLDER, SAMPLE_ROWS, Reading, changes, load
from ratchet.profile.sample import SEED
from ratchet.profile.schema import Schema
from ratchet.settings import DataSettings

if TYPE_CHECKING:
    import pyarrow
    from mlflow import MlflowClient

A_DAY = 24 * 3600


def read_scored(
    client: "MlflowClient", model: str, version: str, days: float, settings: DataSettings
) -> tuple[Reading, Schema]:
    """Add up the profiles of the batches that the version scored in the last days."""
    readings = [_profile_of(run_id) for run_id in _runs(client, model, version, days)]
    if not readings:
        raise InputError(
            f"Version {version} scored no batch in the last {days:g} days (drift.log_days); run:"
            " mlflow run . -e score"
        )
    profile = readings[0].profile
    for one in readings[1:]:
        profile = profile + one.profile
    reading = Reading(profile, _sample(readings))
    types = {name: _type_of(counts) for name, counts in profile.features.items()}
    return reading, changes(types, profile, settings)


def _runs(client: "MlflowClient", model: str, version: str, days: float) -> list[str]:
    """Return the ids of the runs, the oldest first."""
    since = round(1000 * (time.time() - days * A_DAY))
    wanted = f"tags.scored_by = '{model}/{version}' AND attributes.start_time > {since}"
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(
        experiments, wanted, max_results=1000, order_by=["attributes.start_time ASC"]
    )
    return [run.info.run_id for run in runs if run.info.status == "FINISHED"]


def _profile_of(run_id: str) -> Reading:
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory() as folder:
        path = download_artifacts(run_id=run_id, artifact_path=FOLDER, dst_path=folder)
        return load(Path(path))


def _sample(readings: Sequence[Reading]) -> "pyarrow.Table":
    """Draw from the batches' samples, so that each scored row is about equally likely."""
    import pyarrow

    rows = pyarrow.concat_tables([one.sample for one in readings])
    if len(readings) == 1 or not len(rows):
        return rows
    sizes = [len(one.sample) for one in readings]
    weights = np.repeat([one.profile.rows / len(one.sample) for one in readings], sizes)
    shares = weights / weights.sum()
    count = min(SAMPLE_ROWS, int(1 / shares.max()))  # more would draw too few of a large batch
    chosen = np.random.default_rng(SEED).choice(len(rows), count, replace=False, p=shares)
    return rows.take(np.sort(chosen))


def _type_of(counts: Counts) -> str:
    """Return a DuckDB type that fits the column: the types of the batches are not kept."""
    if getattr(counts, "numbers", False):
        return "DOUBLE"
    types = {"numeric": "DOUBLE", "date": "TIMESTAMP", "boolean": "BOOLEAN"}
    return types.get(counts.kind, "VARCHAR")
