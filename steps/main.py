"""The whole line once, on this machine: python -m steps.main --config configs/models --until all"""

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import entry
from ratchet.errors import InputError

if TYPE_CHECKING:
    from ratchet.line import Line

SHIFT = 2.0  # standard deviations, put into one column of the first traffic
TRUTHS = (0.80, 0.95)  # the accuracies that the labels of the A/B test give prod and staging


def main(config: Path, until: str) -> None:
    from ratchet.line import Finished, Line, load, require_stage
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table

    require_stage(until)
    if until not in ("train", "evaluate", "package"):
        require_own_stores()
    load()
    os.environ.setdefault("RATCHET_ADMIN_TOKEN", secrets.token_hex(16))
    connect()
    with step_run("main") as run:
        line = Line(run.info.run_id, until)
        with suppress(Finished):
            run_line(line, config)
    print()
    print_table([stage.row() for stage in line.stages])
    print(
        "\nRuns, versions, pictures: make ui. Reports: reports/. The service: make serve, then /ab."
    )


def require_own_stores() -> None:
    """The line's traffic and labels are made up; they must move no prod but this machine's."""
    for name in ("MLFLOW_TRACKING_URI", "RATCHET_LOG_URL"):
        address = os.environ.get(name, "")
        if "://" in address and not address.startswith(("sqlite", "file")):
            raise InputError(
                f"{name} is a server's, and from 'traffic' on the line's requests and labels are"
                " made up: they would count in real decisions. Unset it, or end before: -P"
                " until=package"
            )


def run_line(line: "Line", config: Path) -> None:
    from ratchet.packaging.running import started
    from ratchet.traffic.demo import is_prod

    line.step("train", "train", config=str(config))
    line.step("evaluate", "evaluate")
    with started(".", Path(sys.executable), Path("reports/main"), os.environ) as service:
        line.step("package", "package")
        address = service()
        try_drift(line, address)
        version = line.step("automl", "automl")["version"]
        if is_prod(address, version):
            print(f"\nv{version}, which AutoML found, is prod already: there is nothing to test.")
        else:
            line.step("gate", "evaluate", version=version, force="true")
            try_staging(line, address)
    line.step("history", "history")


def try_drift(line: "Line", address: str) -> None:
    """Rows of the holdout, one column of them shifted."""
    from ratchet.traffic.demo import a_number

    column = a_number(address)
    shift = f"{column}:{SHIFT}" if column else "none"
    line.step("traffic", "traffic", url=address, requests="500", shift=shift)
    line.step("drift", "drift")


def try_staging(line: "Line", address: str) -> None:
    """An A/B test whose truth is known, the promotion it earns, and the way back."""
    from ratchet.traffic.demo import split_evenly

    versions = split_evenly(address, os.environ["RATCHET_ADMIN_TOKEN"])
    if versions is None:
        print("\nThe gate staged nothing, so there is no A/B test; its reasons stand above.")
        return
    accuracy = ",".join(f"{v}={truth}" for v, truth in zip(versions, TRUTHS, strict=True))
    line.step("test", "traffic", url=address, requests="800", users="800", accuracy=accuracy)
    if line.step("promote", "promote")["promoted"] == "true":
        reason = "the whole line shows the way back"
        line.step("rollback", "promote", action="rollback", reason=reason)


if __name__ == "__main__":
    entry.run(main)
