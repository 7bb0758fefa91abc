"""Repeat a run and compare: python -m steps.reproduce --run_id RUN_ID"""

from dataclasses import asdict

from ratchet import entry

TRAIN = ("-m", "steps.train", "--config")


def main(run_id: str) -> None:
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.training.reproduce import find, reproduce

    client = connect()
    run = find(client, run_id)
    with step_run("reproduce"):
        result = reproduce(client, run, TRAIN)
        rows = [
            {"metric": name, "then": then, "again": again, "same": then == again}
            for name, (then, again) in result.metrics.items()
        ]
        answer = "same" if result.same else f"not the same. {'; '.join(result.causes)}"
        sentence = f"{run.data.tags['config']}, run {run_id}: {answer}"
        publish(
            Report(
                "reproduce",
                asdict(result),
                f"## Reproduce\n\n{markdown_table(rows)}\n\n{sentence}\n",
                {"same": str(result.same).lower()},
            )
        )
    print_table(rows)
    print(sentence)


if __name__ == "__main__":
    entry.run(main)
