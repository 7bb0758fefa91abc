"""The demonstration: made-up users show what drift, an A/B test, a promotion and a rollback do."""

import os
import secrets
import sys
import time
from pathlib import Path

from ratchet.line import Line
from ratchet.packaging.running import started
from ratchet.registry.provenance import DEMO
from ratchet.registry.registry import Registry
from ratchet.traffic.demonstration import ACCURACIES, drift_shift, split_evenly

MADE_UP = {DEMO: "true"}
DAY = 24 * 3600  # seconds
UNTIL_THE_STEP_READS = 10  # seconds


def demonstrate(line: Line, registry: Registry) -> None:
    os.environ.setdefault("RATCHET_ADMIN_TOKEN", secrets.token_hex(16))
    with started(".", Path(sys.executable), Path("reports/main"), os.environ) as service:
        line.run("package", "steps.package")
        address = service()
        show_drift(line, address)
        version = line.run("automl", "steps.automl").get("version")
        if version is None or registry.aliases().get("prod") == version:
            print("\nAutoML's version is prod already: there is nothing to test.")
            return
        line.run("gate", "steps.evaluate", version=version, force="true")
        show_promotion(line, address)


def show_drift(line: Line, address: str) -> None:
    shift = drift_shift(address)
    print(
        f"\nDemonstration: the next 500 requests are rows of the holdout, shifted by {shift}"
        " (column: standard deviations), so that drift is certain. The users do not exist."
    )
    began = time.time()
    line.run("traffic", "steps.traffic", MADE_UP, url=address, requests="500", shift=shift)
    seconds = time.time() - began + UNTIL_THE_STEP_READS
    line.run("drift", "steps.drift", MADE_UP, days=str(seconds / DAY))


def show_promotion(line: Line, address: str) -> None:
    accuracy = split_evenly(address, os.environ["RATCHET_ADMIN_TOKEN"])
    if accuracy is None:
        print("\nThe gate made no version staging, so there is no A/B test; its reasons are above.")
        return
    print(
        "\nDemonstration: the labels of the next 800 requests are drawn so that prod is right in"
        f" {ACCURACIES[0]:.0%} and staging in {ACCURACIES[1]:.0%} of them. They say nothing about"
        " your data. What the demonstration moves is tagged demo=true in the registry."
    )
    many = {"requests": "800", "users": "800"}
    line.run("test", "steps.traffic", MADE_UP, url=address, accuracy=accuracy, **many)
    if line.run("promote", "steps.promote", MADE_UP)["promoted"] == "true":
        reason = "the whole line shows the way back"
        line.run("rollback", "steps.promote", MADE_UP, action="rollback", reason=reason)
