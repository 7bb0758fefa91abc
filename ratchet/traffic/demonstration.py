"""The simulated traffic of the demonstration: a drift that is certain to be found, and an A/B test.

The labels of the A/B test are drawn so that staging is right more often than prod.
"""

import os
import time
from typing import Any

import httpx

from ratchet.errors import InputError

SHIFT = 2.0  # added to one column of the first requests, in standard deviations
ACCURACIES = (0.80, 0.95)  # the shares of right answers of prod and of staging in the A/B test
SECONDS_TO_FOLLOW = 30.0


def require_local_stores() -> None:
    """Raise InputError if the demonstration would write to a server, where traffic may be real."""
    for name in ("MLFLOW_TRACKING_URI", "RATCHET_LOG_URL"):
        address = os.environ.get(name, "")
        if "://" in address and not address.startswith(("sqlite", "file")):
            raise InputError(
                f"{name} is the address of a server. The demonstration simulates requests and"
                " labels, which would count in real decisions there. Unset the variable, or run"
                " without the demonstration: -P demo=false"
            )


def drift_shift(address: str) -> str:
    """Return the shift of the service's first numeric feature, such as "age:2.0".

    Return "none" if there is no numeric feature.
    """
    request = _get(f"{address}/docs.json")["components"]["schemas"]["Request"]
    features = request["properties"]["features"]["properties"]
    column = next((name for name, schema in features.items() if "number" in schema["type"]), None)
    return f"{column}:{SHIFT}" if column else "none"


def split_evenly(address: str, token: str) -> str | None:
    """Give staging half of the users, and return the accuracy to simulate, such as "3=0.8,4=0.95".

    Return None if the service has no staging version within half a minute.
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
