"""Let PyCaret search for a model: python -m steps.automl --write false --jobs 0"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import entry
from ratchet.errors import InputError

if TYPE_CHECKING:
    from ratchet.automl.process import Search
    from ratchet.data.dataset import Split
    from ratchet.settings import Settings

LOCK = Path("requirements-automl.txt")
CONFIG = Path("configs/models/automl.yaml")


def main(write: bool, jobs: int) -> None:
    from ratchet.automl.process import SEARCH, Search
    from ratchet.environments import python_of
    from ratchet.settings import read_settings

    settings = read_settings()
    with Search(python_of(LOCK), SEARCH, Path("reports/automl")) as search:
        # PyCaret is being imported, and this process imports and reads meanwhile.
        from ratchet.automl.request import write_request
        from ratchet.data.dataset import load_split

        split = load_split(settings.data)
        search.ask(write_request(split, settings, jobs, search.folder))
        _follow(search, split, settings, write)


def _follow(search: "Search", split: "Split", settings: "Settings", write: bool) -> None:
    from ratchet.automl.finding import Found, choose, require_agreement, scored
    from ratchet.automl.outcome import board_rows, report, sentence
    from ratchet.automl.recording import record_request, search_tags
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, end_dead_runs, step_run
    from ratchet.report import print_table, publish
    from ratchet.training.record import register_trained

    client = connect()
    for run_id in end_dead_runs(client):
        print(f"Run {run_id} was left RUNNING by a process that was killed; it is KILLED now")
    found, version = Found(), None
    tags = search_tags(split, LOCK)
    with step_run("automl"):
        record_request(settings, tags)
        try:
            for one in scored(search, found, tags):
                score = f"{settings.metric} {one.scores[settings.metric]:.4f}"
                print(f"{score}  {one.name}, {one.seconds:.1f} s", flush=True)
            trained = choose(search, found, split, settings)
            require_agreement(found, settings)
            outcome = register_trained(trained, split, settings, Registry(client, settings.model))
            version = outcome.version
        finally:
            publish(report(found, settings, version))
    if outcome.status == "failed":
        raise InputError(f"{outcome.config}: {outcome.reason}")
    print_table(board_rows(found, settings))
    print(sentence(found, settings, version))
    if write:
        shutil.copy("reports/automl/automl.yaml", CONFIG)
        print(f"Wrote {CONFIG}")


if __name__ == "__main__":
    entry.run(main)
