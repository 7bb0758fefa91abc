"""The whole line once, on this machine: python -m steps.main --config configs/models"""

import sys
from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError


def main(config: Path) -> None:
    from ratchet.line import run_steps
    from ratchet.record.tracking import connect, step_run

    connect()
    with step_run("main"):
        failed = run_steps([["train", "--config", str(config)], ["evaluate"], ["history"]])
    if failed:
        raise InputError(f"the step '{failed}' failed; its message stands above")
    print(
        "\nThe runs, the versions and the pictures: make ui. The reports: reports/", file=sys.stdout
    )


if __name__ == "__main__":
    entry.run(main)
