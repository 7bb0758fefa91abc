"""Has the data changed enough to retrain? python -m steps.drift --current x.csv --reference prod"""

from ratchet import entry


def main(current: str, reference: str) -> None:
    from ratchet.drift.checks import Checks, tags
    from ratchet.drift.drift import find_drift
    from ratchet.drift.page import page
    from ratchet.drift.reference import reference_of
    from ratchet.drift.report import content, hidden, markdown, metrics, table
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    client = connect()
    before = reference_of(reference, Registry(client, settings.model), settings.data)
    found = find_drift(current, before, Checks(client, settings.model), settings)
    rows = table(found)
    with step_run("drift"):
        import mlflow

        mlflow.log_metrics(metrics(found.drift))
        publish(
            Report(
                "drift",
                content(found),
                markdown(found, markdown_table(rows)),
                {
                    "drifted": str(found.conclusion.retrain).lower(),
                    "verdict": found.conclusion.verdict,
                },
                page(found),
            )
        )
        mlflow.set_tags(tags(settings.model, found.reference, found.drift, found.conclusion))
    print(found.sides, *found.sentences, sep="\n")
    print_table(rows)
    print(*filter(None, [hidden(found), found.limits_in_words]), sep="\n")
    print(f"{found.conclusion.verdict}: {found.conclusion.reason}")


if __name__ == "__main__":
    entry.run(main)
