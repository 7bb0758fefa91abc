"""Judge versions by the offline gate: python -m steps.evaluate --version ungated"""

from ratchet import entry


def main(version: str, force: bool) -> None:
    from ratchet.data.split import load_split
    from ratchet.evaluation.judge import candidates, judge_each, settle
    from ratchet.evaluation.logged import rows_of
    from ratchet.evaluation.report import gate_report, notes, verdict_rows
    from ratchet.predictions.engine import log_url
    from ratchet.progress import progress
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    registry = Registry(connect(), settings.model)
    for line in registry.finish_moves():
        print(f"Finished a move that a killed process had begun: {line.reason}")
    versions = candidates(registry, version, force)
    staging = registry.holder("staging")
    if versions and staging and staging.number not in [one.number for one in versions]:
        versions.append(staging)  # it stays unless a candidate beats it on today's holdout
    split = load_split(settings.data)
    rows = rows_of(split, registry, log_url())
    with step_run("evaluate") as run:
        work = judge_each(versions, registry, split, rows, settings)
        judgements = progress(work, len(versions), "gate")
        settlement = settle(judgements, registry, settings, run.info.run_id, rows.logged)
        publish(gate_report(judgements, settlement, registry.aliases(), settings))
    print_table(verdict_rows(judgements, settings.metric))
    print(settlement.sentence, *notes(judgements, settlement), sep="\n")


if __name__ == "__main__":
    entry.run(main)
