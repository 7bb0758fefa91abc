"""Show what was in production, and when: python -m steps.history --alias all"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ratchet import entry
from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    from ratchet.registry.registry import LedgerLine


def main(alias: str) -> None:
    from ratchet.registry.git_tags import prod_tags
    from ratchet.registry.registry import ALIASES, Registry
    from ratchet.registry.tracking import connect
    from ratchet.report import Report, markdown_table, print_table, write_report
    from ratchet.settings import read_settings

    if alias not in (*ALIASES, "all"):
        raise InputError(f"'{alias}' is not an alias: {nearest(alias, (*ALIASES, 'all'))}")
    client = connect()
    registry = Registry(client, read_settings().model)
    rows = [row for line in registry.ledger() for row in _rows(line, alias)]
    tags = [asdict(tag) for tag in prod_tags(registry, client)]
    markdown = f"## History\n\n{markdown_table(rows)}\n"
    content = {"moves": rows, "tags": tags}
    outputs = {"moves": str(len(rows)), "unpackaged": str(not registry.is_packaged()).lower()}
    write_report(Report("history", content, markdown, outputs))
    print_table(rows)
    if not rows:
        print("No alias has moved yet. Train and gate: mlflow run . -e train, then -e evaluate")


def _rows(line: "LedgerLine", alias: str) -> list[dict[str, str]]:
    return [
        {
            "when": line.time[:19] + "Z",
            "alias": moved,
            "from": f"v{before}" if before else "none",
            "to": f"v{after}" if after else "none",
            "commit": line.commit[:12],
            "by": line.by,
            "why": line.reason,
            "evidence": line.evidence,
        }
        for moved, (before, after) in line.moves.items()
        if alias in (moved, "all")
    ]


if __name__ == "__main__":
    entry.run(main)
