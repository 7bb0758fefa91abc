"""One worker's state: its log, the arms in force, and the tasks beside its requests."""

import asyncio
import contextlib
import fcntl
import gc
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ratchet.predictions.arm_counts import ArmCounts
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.serving.active_versions import Roster
from ratchet.serving.answering import Answering
from ratchet.serving.arms import ArmsInForce, load_arms
from ratchet.serving.json_logs import log_as_json
from ratchet.serving.metrics import Tallies
from ratchet.serving.packed import Packed
from ratchet.serving.settings import ServiceSettings, read_service_settings
from ratchet.settings import Settings, read_settings

SECONDS_BETWEEN_LOOKS = 1.0
log = logging.getLogger("ratchet.worker")


@dataclass(frozen=True)
class Worker:
    project: Settings
    settings: ServiceSettings
    log: PredictionLog
    arms: ArmsInForce
    tallies: Tallies
    answering: Answering
    counts: ArmCounts  # of the running test, for the page


@contextlib.asynccontextmanager
async def running(packed: Packed | None) -> AsyncIterator[Worker]:
    from threadpoolctl import threadpool_limits

    log_as_json()
    threadpool_limits(limits=1)  # workers are for cores; threads of a sum only cost one row time
    project, settings = read_settings(), read_service_settings()
    prediction_log = PredictionLog(settings.log_url, project.ab)
    tallies = Tallies()
    secret = _user_secret(project, settings)
    answering = Answering(prediction_log, project.ab, secret, tallies.answered)
    arms = ArmsInForce(settings.models)
    counts = ArmCounts(settings.log_url, project.promotion.min_labelled)
    worker = Worker(project, settings, prediction_log, arms, tallies, answering, counts)
    tasks = [_tell_queue(worker)]
    if packed:
        _load_packed(arms, packed)
    else:
        await arms.look()
        tasks += [arms.follow(), _keep_a_follower(settings)]
    # What is loaded stays; the collector need not walk over it, nor after every few requests.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    async with asyncio.TaskGroup() as group:
        started = [group.create_task(task) for task in tasks]
        yield worker
        for task in started:
            task.cancel()
    await answering.close()
    counts.close()
    prediction_log.close()


def _user_secret(project: Settings, settings: ServiceSettings) -> str | None:
    from ratchet.errors import InputError

    if project.ab.hash_users and not settings.user_secret:
        raise InputError("ab.hash_users is true but RATCHET_USER_SECRET is not set; set it")
    return settings.user_secret if project.ab.hash_users else None


def _load_packed(arms: ArmsInForce, packed: Packed) -> None:
    import bentoml

    stored = [bentoml.models.get(tag) for tag in packed.tags]
    arms.current = load_arms(*[Path(model.path) for model in stored])
    staging = arms.current.staging_version
    version = arms.current.prod.model.version
    arms.roster = Roster(packed.model, version, staging, registry="not needed: a Bento")


async def _tell_queue(worker: Worker) -> None:
    while True:
        worker.tallies.queue(worker.log.waiting)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


async def _keep_a_follower(settings: ServiceSettings) -> None:
    """One for all workers that share a folder: whoever holds the lock starts it, and again."""
    settings.models.mkdir(parents=True, exist_ok=True)
    with (settings.models / "follower.lock").open("w") as lock:
        while not _locked(lock):
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        while True:
            follower = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ratchet.serving.following",
                str(settings.models),
                stdin=subprocess.PIPE,
            )
            code = await follower.wait()
            log.error("the follower ended and is started again", extra={"code": code})
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
