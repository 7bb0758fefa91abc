"""Check data against the contract: python -m steps.check --data source --write false"""

from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError


def main(data: str, write: bool) -> None:
    from ratchet.contract.report import check_report, require_kept, rows, summary
    from ratchet.contract.rules import read_contract
    from ratchet.contract.source import check_source, propose_for
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings().data
    source, path = settings.source if data == "source" else data, Path(settings.contract)
    if write:
        if path.exists():
            raise InputError(f"{path} exists; move it away to get a new proposal")
        path.write_text(propose_for(source, settings), encoding="utf-8")
        print(f"Wrote {path}, proposed from {source}. Read it, then commit it")
    results = check_source(source, settings, read_contract(path))
    connect()
    with step_run("check"):
        publish(check_report(results, source))
    print_table(rows(results))
    print(summary(results, source))
    require_kept(results, source)


if __name__ == "__main__":
    entry.run(main)
