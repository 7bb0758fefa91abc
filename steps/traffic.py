"""Send labelled requests of simulated users to a service, and check its prediction log.

python -m steps.traffic --url ADDRESS
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ratchet import entry

if TYPE_CHECKING:
    from ratchet.traffic.agreement import Agreement


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
    parameters = locals()
    from ratchet.progress import bar
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings
    from ratchet.traffic.traffic import Parameters, compare_with_log, rows_by_arm, run_traffic

    settings, checked = read_settings(), Parameters(**parameters)
    connect()
    with step_run("traffic"):
        with bar(requests, "traffic") as on_answer:
            outcome = run_traffic(checked, settings, on_answer)
        agreement = compare_with_log(checked, settings, outcome)
        rows = rows_by_arm(outcome)
        lines = [f"{len(outcome.sent)} answered in {outcome.seconds:.1f} s; {_sentence(agreement)}"]
        lines += [f"{count} not answered: {why}" for why, count in outcome.unanswered.items()]
        text = "\n".join(lines)
        content = {
            "wanted": checked.without_passwords(),
            "arms": rows,
            "seconds": outcome.seconds,
            "unanswered": outcome.unanswered,
            "log": asdict(agreement) if agreement else None,
        }
        agrees = str(agreement.holds).lower() if agreement else "unknown"
        markdown = f"## Traffic\n\n{markdown_table(rows)}\n\n{text}\n"
        publish(Report("traffic", content, markdown, {"agrees": agrees}))
    print_table(rows)
    print(text, *(agreement.examples if agreement else []), sep="\n")


def _sentence(agreement: "Agreement | None") -> str:
    if agreement is None:
        from ratchet.traffic.traffic import NOT_COMPARED

        return NOT_COMPARED
    if agreement.holds:
        return (
            f"the log agrees on all {agreement.compared} ({agreement.others} others came meanwhile)"
        )
    return (
        f"the log does not agree: of {agreement.compared}, {agreement.missing} are missing,"
        f" {agreement.twice} twice, {agreement.different} different"
    )


if __name__ == "__main__":
    entry.run(main)
