"""What the whole line asks of the service it has started."""

import time

from ratchet.serving.running import ask

SECONDS_TO_FOLLOW = 30.0


def a_number(address: str) -> str | None:
    """A feature that can be shifted."""
    request = ask(f"{address}/docs.json")["paths"]["/predict"]["post"]["requestBody"]
    example = request["content"]["application/json"]["example"]["features"]
    return next((name for name, value in example.items() if isinstance(value, float)), None)


def split_evenly(address: str, token: str) -> tuple[str, str] | None:
    """The versions of prod and staging, once the service has both; None where nothing is staged."""
    end = time.monotonic() + SECONDS_TO_FOLLOW
    while not (status := ask(f"{address}/status"))["staging"]:
        if time.monotonic() > end:
            return None
        time.sleep(0.2)
    ask(f"{address}/split", {"ab_split_b": 0.5}, "PUT", token)
    return status["prod"]["version"], status["staging"]["version"]
