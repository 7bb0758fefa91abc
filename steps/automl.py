"""Search for a model with PyCaret: python -m steps.automl --write false --jobs 0"""

import shutil
from pathlib import Path

from ratchet import entry

LOCK = Path("requirements-automl.txt")
CONFIG = Path("configs/models/automl.yaml")


def main(write: bool, jobs: int) -> None:
    from ratchet.automl.process import SEARCH, Search
    from ratchet.environments import python_of
    from ratchet.settings import read_settings

    settings = read_settings()
    with Search(python_of(LOCK), SEARCH, Path("reports/automl")) as search:
        # The search imports PyCaret while this process imports its own libraries.
        from ratchet.automl.report import board_rows, report, summary
        from ratchet.automl.request import write_request
        from ratchet.automl.runs import record_request, search_tags
        from ratchet.automl.winner import SearchResult, choose_winner, scored_candidates
        from ratchet.contract.source import require_contract
        from ratchet.data.split import load_split
        from ratchet.registry.registry import Registry
        from ratchet.registry.tracking import connect, end_dead_runs, step_run
        from ratchet.report import print_table, publish
        from ratchet.training.record import register_trained
        from ratchet.training.report import require_success

        require_contract(settings.data)
        split = load_split(settings.data)
        search.ask(write_request(split, settings, jobs, search.folder))
        registry = Registry(client := connect(), settings.model)
        for run_id in end_dead_runs(client):
            print(f"Run {run_id} was left RUNNING by a process that was killed; it is KILLED now")
        result, version, tags = SearchResult(), None, search_tags(split, LOCK)
        with step_run("automl"):
            record_request(settings, tags)
            try:
                for one in scored_candidates(search, result, tags):
                    print(one.line(settings.metric), flush=True)
                trained = choose_winner(search, result, split, settings)
                outcome = register_trained(trained, split, settings, registry)
                version = outcome.version
            finally:
                publish(report(result, settings, version))
    require_success([outcome])
    print_table(board_rows(result, settings))
    print(summary(result, settings, version))
    if write:
        shutil.copy("reports/automl/automl.yaml", CONFIG)
        print(f"Wrote {CONFIG}")


if __name__ == "__main__":
    entry.run(main)
