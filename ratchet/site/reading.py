"""Reads the records of the page from the registry, the runs and their reports."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.drift.comparison import ANSWERS
from ratchet.drift.report import metric_key
from ratchet.github.links import tracking_address
from ratchet.promotion.recorded import RecordedDecision, recorded_decision
from ratchet.registry.registry import Registry, Version
from ratchet.site.records import Candidate, DriftCheck, History, Move, Run, StepReport

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000  # runs per request
LOOKED_AT = 5  # the newest runs of a step that are searched for a report
PSI = "psi/"
REPORT = "report"
DECISION = "report/decision.json"
OF_STEPS = "tags.step != ''"
OF_VERSIONS = "tags.predictions_sha256 != ''"
ANSWER_NAMES = {metric_key(f"({name})"): f"({name})" for name in ANSWERS.values()}


def read_history(client: "MlflowClient", registry: Registry, server: str) -> History:
    """Read the history; `server` is the address of the MLflow server that links lead to."""
    steps = _runs(client, OF_STEPS, server)
    runs = {run.run_id: run for run in [*_runs(client, OF_VERSIONS, server), *steps]}
    moves = _moves(registry, runs)
    aliases = registry.aliases()
    return History(
        model=registry.model,
        aliases=aliases,
        candidates=[_candidate(one, runs) for one in reversed(registry.versions())],
        moves=moves,
        checks=[check for run in steps if (check := _check(run, registry.model))],
        decision=_running_test(steps, aliases, moves),
        reports=list(_reports(steps)),
    )


def _runs(client: "MlflowClient", condition: str, server: str) -> list[Run]:
    """Return the runs that fulfil the condition, the oldest first."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs: list[Run] = []
    token = None
    while True:
        rows = client.search_runs(
            experiments,
            condition,
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += [_run(row, server) for row in rows]
        token = rows.token
        if not token:
            return runs


def _run(row: Any, server: str) -> Run:
    """Return the run and its link. Without a server, the link leads to the workflow run."""
    tags = dict(row.data.tags)
    workflow_run = tags.get("ci_run", "")
    address = tracking_address(row.info.run_id, row.info.experiment_id, server)
    return Run(
        row.info.run_id,
        datetime.fromtimestamp(row.info.start_time / 1000, UTC),
        address or (workflow_run if workflow_run.startswith("https://") else None),
        tags,
        dict(row.data.metrics),
    )


def _candidate(version: Version, runs: Mapping[str, Run]) -> Candidate:
    tags = version.tags
    return Candidate(
        version.number,
        tags.get("config", "?"),
        version.verdict or "waiting",
        tags.get("verdict_reason", ""),
        tags.get("decision", ""),
        runs.get(version.run_id),
    )


def _moves(registry: Registry, runs: Mapping[str, Run]) -> list[Move]:
    return [
        Move(
            datetime.fromisoformat(line.time),
            line.moves,
            line.reason,
            line.by,
            line.commit,
            runs.get(line.evidence),
        )
        for line in registry.ledger()
    ]


def _check(run: Run, model: str) -> DriftCheck | None:
    if "finding" not in run.tags or run.tags.get("model") != model:
        return None
    psi = {
        ANSWER_NAMES.get(key := name.removeprefix(PSI), key): value
        for name, value in run.metrics.items()
        if name.startswith(PSI)
    }
    return DriftCheck(run, run.tags.get("verdict", ""), psi)


def _running_test(
    steps: Sequence[Run], aliases: Mapping[str, str], moves: Sequence[Move]
) -> tuple[Run, RecordedDecision] | None:
    """Return the newest recorded decision about the versions that are prod and staging now."""
    pair = {alias: aliases.get(alias) for alias in ("prod", "staging")}
    begun = [move.time for move in moves if {*move.aliases} & {*pair}]
    if None in pair.values() or not begun:
        return None
    since_then = [run for run in steps if run.time >= max(begun)]
    for run in reversed(since_then):
        for _, text in _files(run, DECISION):
            decision = recorded_decision(text)
            if decision.versions == pair:
                return run, decision
    return None


def _reports(steps: Sequence[Run]) -> Iterator[StepReport]:
    by_step: dict[str, list[Run]] = {}
    for run in reversed(steps):
        by_step.setdefault(run.tags["step"], []).append(run)
    for step, runs in by_step.items():
        for run in runs[:LOOKED_AT]:
            files = dict(_files(run, REPORT))
            name = next((n for end in (".html", ".md") for n in files if n.endswith(end)), None)
            if name:
                yield StepReport(step, run, name, files[name])
                break


def _files(run: Run, path: str) -> list[tuple[str, str]]:
    """Return name and text of an artifact or of each file in its folder; none if it is missing."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory(prefix="ratchet-site-") as folder:
        try:
            copy = download_artifacts(artifact_uri=f"runs:/{run.run_id}/{path}", dst_path=folder)
        except (MlflowException, OSError):
            return []
        files = sorted(Path(copy).iterdir()) if Path(copy).is_dir() else [Path(copy)]
        return [(file.name, file.read_text(encoding="utf-8")) for file in files]
