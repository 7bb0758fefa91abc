"""Collect labelled requests of the prediction log as rows to train on: python -m steps.collect"""

from pathlib import Path

from ratchet import entry


def main(since: str, log: str) -> None:
    from ratchet.collect.report import collect_report, rows, summary, write_table
    from ratchet.collect.requests import collect, start_of_window
    from ratchet.predictions.engine import log_url
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import LogSettings, read_settings

    settings = read_settings()
    if settings.data.log is None and not since:
        print("data.log is not set, so no request is collected; docs/data.md explains it")
        return
    kept = settings.data.log or LogSettings()
    source = log_url() if log == "RATCHET_LOG_URL" else log
    collection = collect(source, settings, start_of_window(since or f"{kept.days:g}d"))
    write_table(collection, file := Path(kept.file))
    connect()
    with step_run("collect"):
        publish(collect_report(collection, file))
    print_table(rows(collection))
    print(summary(collection, file), *collection.warnings, sep="\n")


if __name__ == "__main__":
    entry.run(main)
