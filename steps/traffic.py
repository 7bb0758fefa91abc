"""Send labelled requests of users with known habits: python -m steps.traffic --url ADDRESS"""

from dataclasses import asdict

from ratchet import entry


def main(
    url: str, data: str, requests: int, users: int, rate: float, concurrency: int, delay: float,
    labelled: float, accuracy: str, correlation: float, shift: str, seed: int, log: str,
) -> None:  # fmt: skip
    from ratchet.progress import bar
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings
    from ratchet.traffic.traffic import NOT_COMPARED, Wanted, agreement, drive, rows_by_arm, told

    settings = read_settings()
    wanted = Wanted(
        url, data, requests, users, rate, concurrency, delay, labelled, accuracy, correlation,
        shift, seed, log,
    )  # fmt: skip
    connect()
    with step_run("traffic"):
        with bar(requests, "traffic") as answered:
            outcome = drive(wanted, settings, answered)
        found = agreement(wanted, settings, outcome)
        rows = rows_by_arm(outcome)
        sentence = _sentence(found) if found else NOT_COMPARED
        unanswered = [f"{count} not answered: {why}" for why, count in outcome.unanswered.items()]
        said = "\n".join([f"{len(outcome.sent)} answered in {outcome.seconds:.1f} s; {sentence}"]
                         + unanswered)  # fmt: skip
        publish(
            Report(
                "traffic",
                {
                    "wanted": told(wanted), "arms": rows, "seconds": outcome.seconds,
                    "unanswered": outcome.unanswered, "log": asdict(found) if found else None,
                },
                f"## Traffic\n\n{markdown_table(rows)}\n\n{said}\n",
                {"agrees": str(found.holds).lower() if found else "unknown"},
            )
        )  # fmt: skip
    print_table(rows)
    print(said, *(found.examples if found else []), sep="\n")


def _sentence(found: "Agreement") -> str:  # type: ignore[name-defined]  # noqa: F821
    if found.holds:
        return f"the log agrees on all {found.compared} ({found.others} others came meanwhile)"
    return (
        f"the log does not agree: of {found.compared}, {found.missing} are missing,"
        f" {found.twice} twice, {found.different} different"
    )


if __name__ == "__main__":
    entry.run(main)
