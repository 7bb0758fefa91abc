"""Train model configs: python -m steps.train --config configs/models"""

import os
from dataclasses import asdict
from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError


def main(config: Path, force: bool, jobs: int, watch: bool) -> None:
    jobs = jobs or os.cpu_count() or 1
    if not watch:
        train(config, force, jobs)
        return
    from ratchet.training.watch import changes

    for _ in changes(config):
        try:
            train(config, force, jobs)
        except InputError as error:
            print(f"train: {error}", flush=True)


def train(config: Path, force: bool, jobs: int) -> None:
    from ratchet.model.spec import config_files, read_specs

    specs, broken = read_specs(config_files(config))
    if not specs:
        raise InputError("; ".join(broken.values()))
    from ratchet.processes import warm_up

    fits = ("ratchet.training.train", "ratchet.model.preparation") if len(specs) > 1 else ()
    warm_up("ratchet.training.pictures", *fits)
    from ratchet.data.dataset import load_split
    from ratchet.progress import progress
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, end_dead_runs, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings
    from ratchet.training.record import Outcome, train_and_register

    settings = read_settings()
    split = load_split(settings.data)
    client = connect()
    for run_id in end_dead_runs(client):
        print(f"Run {run_id} was left RUNNING by a process that was killed; it is KILLED now")
    registry = Registry(client, settings.model)
    outcomes = [Outcome(name, "failed", reason=reason) for name, reason in broken.items()]
    with step_run("train"):
        work = train_and_register(specs, split, settings, registry, force, jobs)
        outcomes += progress(work, len(specs), "train")
        rows = [_row(outcome) for outcome in outcomes]
        trained = [outcome.version for outcome in outcomes if outcome.status == "trained"]
        publish(
            Report(
                "train",
                {"model": settings.model, "outcomes": [asdict(o) for o in outcomes]},
                f"## Train\n\n{markdown_table(_linked(rows, outcomes))}\n",
                {"trained": str(len(trained)), "versions": ",".join(map(str, trained))},
            )
        )
    print_table(rows)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        raise InputError("; ".join(f"{outcome.config}: {outcome.reason}" for outcome in failed))


def _linked(rows: list[dict[str, object]], outcomes: "list[Outcome]") -> list[dict[str, object]]:  # type: ignore[name-defined]  # noqa: F821
    import mlflow

    from ratchet.github.links import tracking_link

    links = [
        tracking_link(one.run_id, mlflow.get_run(one.run_id).info.experiment_id, os.environ)
        if one.run_id
        else None
        for one in outcomes
    ]
    if not any(links):
        return rows
    return [row | {"see": link} for row, link in zip(rows, links, strict=True)]


def _row(outcome: "Outcome") -> dict[str, object]:  # type: ignore[name-defined]  # noqa: F821
    metrics = outcome.metrics or {}
    shown = ("accuracy", "precision", "recall", "f1", "log_loss", "fit_seconds")
    version = f"v{outcome.version}" if outcome.version else None
    return {
        "config": outcome.config, "": outcome.status, "version": version,
        **{name: metrics.get(name) for name in shown}, "note": outcome.reason,
    }  # fmt: skip


if __name__ == "__main__":
    entry.run(main)
