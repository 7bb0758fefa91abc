"""The demonstration: made-up users show what drift, an A/B test, a promotion and a rollback do."""

import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from ratchet.errors import InputError
from ratchet.line import Line
from ratchet.packaging.running import started
from ratchet.registry.provenance import DEMO
from ratchet.registry.registry import Registry

SHIFT = 2.0  # standard deviations, added to one column of the first traffic
ACCURACIES = (0.80, 0.95)  # of prod and staging, by the labels that the A/B test makes up
SECONDS_TO_FOLLOW = 30.0


def require_local_stores() -> None:
    """Raise if the demonstration would write to a server that holds real traffic."""
    for name in ("MLFLOW_TRACKING_URI", "RATCHET_LOG_URL"):
        address = os.environ.get(name, "")
        if "://" in address and not address.startswith(("sqlite", "file")):
            raise InputError(
                f"{name} is a server's, and the demonstration's requests and labels are made up:"
                " they would count in real decisions. Unset it, or leave the demonstration out:"
                " -P demo=false"
            )


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
    made_up = {DEMO: "true"}
    line.run("traffic", "steps.traffic", made_up, url=address, requests="500", shift=shift)
    line.run("drift", "steps.drift", made_up)


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
    made_up, many = {DEMO: "true"}, {"requests": "800", "users": "800"}
    line.run("test", "steps.traffic", made_up, url=address, accuracy=accuracy, **many)
    if line.run("promote", "steps.promote", made_up)["promoted"] == "true":
        reason = "the whole line shows the way back"
        line.run("rollback", "steps.promote", made_up, action="rollback", reason=reason)


def drift_shift(address: str) -> str:
    """Return a shift of the service's first numeric feature, or "none" if it has none."""
    request = _get(f"{address}/docs.json")["components"]["schemas"]["Request"]
    features = request["properties"]["features"]["properties"]
    column = next((name for name, schema in features.items() if "number" in schema["type"]), None)
    return f"{column}:{SHIFT}" if column else "none"


def split_evenly(address: str, token: str) -> str | None:
    """Give staging half of the users, and return the made-up accuracy of each version.

    Return None if no version becomes staging within half a minute.
    """
    end = time.monotonic() + SECONDS_TO_FOLLOW
    while not (status := _get(f"{address}/status"))["staging"]:
        if time.monotonic() > end:
            return None
        time.sleep(0.2)
    authorization = {"Authorization": f"Bearer {token}"}
    answer = httpx.put(f"{address}/split", json={"ab_split_b": 0.5}, headers=authorization)
    answer.raise_for_status()
    versions = (status["prod"]["version"], status["staging"]["version"])
    return ",".join(f"{v}={share}" for v, share in zip(versions, ACCURACIES, strict=True))


def _get(address: str) -> Any:
    return httpx.get(address, timeout=30).raise_for_status().json()
