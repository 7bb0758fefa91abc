"""Git settings as environment variables. Other users can read command lines and config files."""

import base64
import os
from collections.abc import Mapping


def git_settings(address: str, more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return variables with these settings, and with the token if GitHub serves the address."""
    settings = dict(more)
    token, server = os.environ.get("GITHUB_TOKEN"), os.environ.get("GITHUB_SERVER_URL")
    if token and server and address.startswith(f"{server}/"):
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.{server}/.extraheader"] = f"AUTHORIZATION: basic {basic}"
    first = int(os.environ.get("GIT_CONFIG_COUNT", 0))  # after the settings that exist already
    env = {"GIT_CONFIG_COUNT": str(first + len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for index, (key, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env
