"""What the whole line asks of the service it has started."""

import time

from ratchet.packaging.running import ask

SECONDS_TO_FOLLOW = 30.0


def a_number(address: str) -> str | None:
    """A feature that can be shifted."""
    request = ask(f"{address}/docs.json")["components"]["schemas"]["Request"]
    features = request["properties"]["features"]["properties"]
    return next((name for name, kind in features.items() if "number" in kind["type"]), None)


def is_prod(address: str, version: str) -> bool:
    return bool(ask(f"{address}/status")["prod"]["version"] == version)


def split_evenly(address: str, token: str) -> tuple[str, str] | None:
    """The versions of prod and staging, once the service has both; None where nothing is staged."""
    end = time.monotonic() + SECONDS_TO_FOLLOW
    while not (status := ask(f"{address}/status"))["staging"]:
        if time.monotonic() > end:
            return None
        time.sleep(0.2)
    ask(f"{address}/split", {"ab_split_b": 0.5}, "PUT", token)
    return status["prod"]["version"], status["staging"]["version"]
