"""Send labelled requests of simulated users to a service, and check its prediction log.

python -m steps.traffic --url ADDRESS
"""

from ratchet import entry


def main(
    url: str,
    data: str,
    requests: int,
    users: int,
    rate: float,
    concurrency: int,
    delay: float,
    labelled: float,
    accuracy: str,
    correlation: float,
    shift: str,
    seed: int,
    log: str,
) -> None:
    arguments = locals()
    from ratchet.progress import bar
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings
    from ratchet.traffic.report import rows_by_arm, summary, traffic_report
    from ratchet.traffic.traffic import Parameters, compare_with_log, run_traffic

    settings, parameters = read_settings(), Parameters(**arguments)
    connect()
    with step_run("traffic"):
        with bar(requests, "traffic") as on_answer:
            outcome = run_traffic(parameters, settings, on_answer)
        agreement = compare_with_log(parameters, settings, outcome)
        publish(traffic_report(parameters, outcome, agreement))
    print_table(rows_by_arm(outcome))
    print(summary(outcome, agreement), *(agreement.examples if agreement else []), sep="\n")


if __name__ == "__main__":
    entry.run(main)
