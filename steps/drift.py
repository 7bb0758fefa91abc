"""Check new data for drift: python -m steps.drift --current x.csv --reference prod"""

from ratchet import entry


def main(current: str, reference: str, days: float) -> None:
    from ratchet.drift.checks import Checks, tags
    from ratchet.drift.drift import find_drift
    from ratchet.drift.page import page
    from ratchet.drift.reference import reference_of
    from ratchet.drift.report import content, markdown, message, metrics, omitted, table
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    client = connect()
    before = reference_of(
        reference, Registry(client, settings.model), settings.data, settings.drift.unit_column
    )
    findings = find_drift(current, before, Checks(client, settings.model), settings, days)
    rows = table(findings)
    with step_run("drift"):
        import mlflow

        mlflow.log_metrics(metrics(findings.drift))
        publish(
            Report(
                "drift",
                content(findings),
                markdown(findings, markdown_table(rows)),
                {
                    "drifted": str(findings.conclusion.retrain).lower(),
                    "verdict": findings.conclusion.verdict,
                },
                page(findings),
                message=message(findings),
            )
        )
        mlflow.set_tags(
            tags(settings.model, findings.reference, findings.drift, findings.conclusion)
        )
    print(findings.sides, *findings.sentences, sep="\n")
    print_table(rows)
    print(*filter(None, [omitted(findings), findings.limits_in_words]), sep="\n")
    print(f"{findings.conclusion.verdict}: {findings.conclusion.reason}")


if __name__ == "__main__":
    entry.run(main)
