"""The demonstration's requests to a service: a certain drift, and labels that favour staging."""

import os
import time
from typing import Any

import httpx

from ratchet.errors import InputError

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
