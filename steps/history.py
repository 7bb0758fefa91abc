"""What was in production, and when: python -m steps.history --alias all"""

from dataclasses import asdict

from ratchet import entry
from ratchet.errors import InputError, nearest


def main(alias: str) -> None:
    from ratchet.registry.mirror import prod_tags
    from ratchet.registry.registry import ALIASES, Registry
    from ratchet.registry.tracking import connect
    from ratchet.report import Report, leave, markdown_table, print_table
    from ratchet.settings import read_settings

    if alias not in (*ALIASES, "all"):
        raise InputError(f"alias={alias}: {nearest(alias, (*ALIASES, 'all'))}")
    client = connect()
    registry = Registry(client, read_settings().model)
    rows = [
        {
            "when": line.time[:19] + "Z", "alias": moved, "from": _version(before),
            "to": _version(after), "commit": line.commit[:12], "by": line.by,
            "why": line.reason, "evidence": line.evidence,
        }
        for line in registry.ledger()
        for moved, (before, after) in line.moves.items()
        if alias in (moved, "all")
    ]  # fmt: skip
    tags = [asdict(tag) for tag in prod_tags(registry, client)]
    markdown = f"## History\n\n{markdown_table(rows)}\n"
    content, outputs = {"moves": rows, "tags": tags}, {"moves": str(len(rows))}
    leave(Report("history", content, markdown, outputs))
    print_table(rows)
    if not rows:
        print("Nothing has moved yet. Train and gate: mlflow run . -e train, then -e evaluate")


def _version(number: str | None) -> str:
    return f"v{number}" if number else "none"


if __name__ == "__main__":
    entry.run(main)
