"""Train model configs: python -m steps.train --config configs/models"""

from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError


def main(config: Path, force: bool, jobs: int, watch: bool) -> None:
    from ratchet.training.watch import changes

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
    fits = ("ratchet.training.train", "ratchet.model.preparation") if len(specs) > 1 else ()
    warm_up("ratchet.training.pictures", *fits)

    from ratchet.contract.source import require_contract
    from ratchet.data.split import load_split
    from ratchet.progress import progress
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, end_dead_runs, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings
    from ratchet.training.honest_split import honest_scores
    from ratchet.training.record import Outcome, train_and_register
    from ratchet.training.report import notes, report, require_success, rows

    settings = read_settings()
    require_contract(settings.data)
    split = load_split(settings.data)
    registry = Registry(client := connect(), settings.model)
    for run_id in end_dead_runs(client):
        print(f"Run {run_id} was left RUNNING by a process that was killed; it is KILLED now")
    outcomes = [Outcome(name, "failed", reason=reason) for name, reason in invalid.items()]
    with step_run("train"):
        work = train_and_register(specs, split, settings, registry, force, jobs)
        outcomes += progress(work, len(specs), "train")
        warnings = honest_scores(specs, outcomes, split, settings)
        publish(report(settings.model, outcomes, split, warnings))
    print_table(rows(outcomes))
    print(*notes(split, warnings), sep="\n")
    require_success(outcomes)


if __name__ == "__main__":
    entry.run(main)
