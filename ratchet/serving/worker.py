"""One worker's state: its log, its arms, and the tasks that run while it answers."""

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

from ratchet.errors import InputError
from ratchet.predictions.arm_counts import ArmCounts
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.serving.ab_numbers import PageNumbers
from ratchet.serving.active_versions import ActiveVersions
from ratchet.serving.answering import Answering
from ratchet.serving.arms import ArmsInForce, load_arms
from ratchet.serving.contract_check import ContractCheck, contract_check
from ratchet.serving.export_threads import ExportThreads
from ratchet.serving.metrics import Metrics
from ratchet.serving.packed import Packed
from ratchet.serving.settings import ServiceSettings, read_service_settings
from ratchet.serving.tracing import LogIds
from ratchet.settings import Settings, read_settings

SECONDS_BETWEEN_LOOKS = 1.0
BENTO = "not needed: a Bento"
log = logging.getLogger("ratchet.worker")


@dataclass(frozen=True)
class Worker:
    project: Settings
    settings: ServiceSettings
    log: PredictionLog
    arms: ArmsInForce
    metrics: Metrics
    answering: Answering
    counts: ArmCounts  # the counts of the running test, for the page
    page_numbers: PageNumbers
    export_threads: ExportThreads
    contract: ContractCheck | None  # the contract's rules on the values of requests


@contextlib.asynccontextmanager
async def running(packed: Packed | None) -> AsyncIterator[Worker]:
    from threadpoolctl import threadpool_limits

    log_as_json()
    threadpool_limits(limits=1, user_api="blas")  # it is loaded before the service sets OMP_...
    project, settings = read_settings(), read_service_settings()
    secret = _user_secret(project, settings)
    metrics = Metrics()
    prediction_log = PredictionLog(settings.log_url, project.ab, metrics.labelled)
    answering = Answering(prediction_log, project.ab, secret, metrics)
    arms = ArmsInForce(settings.models)
    counts = ArmCounts(settings.log_url, project.promotion.min_labelled)
    numbers = PageNumbers(project.promotion)
    exports = ExportThreads()
    contract = contract_check(project.ab.contract, project.data, metrics.contract_broken)
    worker = Worker(
        project,
        settings,
        prediction_log,
        arms,
        metrics,
        answering,
        counts,
        numbers,
        exports,
        contract,
    )
    tasks = [_report_gauges(worker)]
    if packed:
        _load_packed(arms, packed)
    else:
        await arms.look()
        tasks += [arms.follow(), _keep_a_follower(settings)]
    # What is loaded by now stays, so the garbage collector need not walk over it again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    async with asyncio.TaskGroup() as group:
        started = [group.create_task(task) for task in tasks]
        yield worker
        for task in started:
            task.cancel()
    await answering.close()
    counts.close()
    numbers.close()
    exports.close()
    prediction_log.close()


def log_as_json() -> None:
    """Log one JSON object a line, also what libraries log, and nothing in any other form."""
    from pythonjsonlogger.json import JsonFormatter

    names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            ["levelname", "name", "message"],
            rename_fields=names,
            timestamp="time",
            json_ensure_ascii=False,
        )
    )
    handler.addFilter(LogIds())
    logging.getLogger().handlers[:] = [handler]
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()
            logger.propagate = True
    logging.getLogger("ratchet").setLevel(logging.INFO)


def _user_secret(project: Settings, settings: ServiceSettings) -> str | None:
    if not project.ab.hash_users:
        return None
    if not settings.user_secret:
        raise InputError("ab.hash_users is true but RATCHET_USER_SECRET is not set; set it")
    return settings.user_secret


def _load_packed(arms: ArmsInForce, packed: Packed) -> None:
    import bentoml

    stored = [bentoml.models.get(tag) for tag in packed.tags]
    arms.current = load_arms(*[Path(model.path) for model in stored])
    staging = arms.current.staging_version
    version = arms.current.prod.model.version
    arms.active = ActiveVersions(packed.model, version, staging, registry=BENTO)


async def _report_gauges(worker: Worker) -> None:
    while True:
        arms, active = worker.arms.current, worker.arms.active
        scorers = [one for one in (arms.prod, arms.staging) if one] if arms else []
        shadowing = worker.answering.shadowing
        worker.metrics.report(
            log_queue=worker.log.waiting,
            log_journalling=worker.log.is_journalling,
            scorer_queue=sum(scorer.rows_waiting for scorer in scorers),
            shadow_queue=shadowing.waiting if shadowing else 0,
            split=worker.log.split.value,
            versions_refused=len(active.refused) if active else 0,
            registry_up=active is not None and active.registry in ("up", BENTO),
        )
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


async def _keep_a_follower(settings: ServiceSettings) -> None:
    """Keep one follower running for all workers that share a folder of models.

    The worker that holds the lock starts it, and starts it again if it ends.
    """
    settings.models.mkdir(parents=True, exist_ok=True)
    with (settings.models / "follower.lock").open("w") as lock:
        while not _locked(lock):
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        command = [sys.executable, "-m", "ratchet.serving.following", str(settings.models)]
        while True:
            follower = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE)
            code = await follower.wait()
            log.error("the follower ended and is started again", extra={"code": code})
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
