"""Train model configs: python -m steps.train --config configs/models"""

import os
from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError


def main(config: Path, force: bool, jobs: int, watch: bool) -> None:
    from ratchet.training.watch import changes

    jobs = jobs or os.cpu_count() or 1
    if not watch:
        train(config, force, jobs)
        return
    for _ in changes(config):
        try:
            train(config, force, jobs)
        except InputError as error:
            print(f"train: {error}", flush=True)


def train(config: Path, force: bool, jobs: int) -> None:
    from ratchet.model.spec import config_files, read_specs
    from ratchet.processes import warm_up

    specs, invalid = read_specs(config_files(config))
    if not specs:
        raise InputError("; ".join(invalid.values()))
    fits = ("ratchet.training.train", "ratchet.model.preparation") if len(specs) > 1 else ()
    warm_up("ratchet.training.pictures", *fits)

    from ratchet.data.dataset import load_split
    from ratchet.progress import progress
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, end_dead_runs, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings
    from ratchet.training.record import Outcome, train_and_register
    from ratchet.training.report import report, require_success, rows

    settings = read_settings()
    split = load_split(settings.data)
    client = connect()
    for run_id in end_dead_runs(client):
        print(f"Run {run_id} was left RUNNING by a process that was killed; it is KILLED now")
    registry = Registry(client, settings.model)
    outcomes = [Outcome(name, "failed", reason=reason) for name, reason in invalid.items()]
    with step_run("train"):
        work = train_and_register(specs, split, settings, registry, force, jobs)
        outcomes += progress(work, len(specs), "train")
        publish(report(settings.model, outcomes))
    print_table(rows(outcomes))
    require_success(outcomes)


if __name__ == "__main__":
    entry.run(main)
