"""Git settings, with the token, as environment variables.

Other users of a machine can read command lines and config files, so a token must not be in them.
"""

import base64
import os
from collections.abc import Mapping


def git_settings(address: str, more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return environment variables that give git the settings in `more`.

    If the address is one of GitHub, they also give it the token.
    """
    settings = dict(more)
    token, server = os.environ.get("GITHUB_TOKEN"), os.environ.get("GITHUB_SERVER_URL")
    if token and server and address.startswith(f"{server}/"):
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings[f"http.{server}/.extraheader"] = f"AUTHORIZATION: basic {basic}"
    first = int(os.environ.get("GIT_CONFIG_COUNT", 0))  # keep the settings that exist already
    env = {"GIT_CONFIG_COUNT": str(first + len(settings)), "GIT_TERMINAL_PROMPT": "0"}
    for index, (key, value) in enumerate(settings.items(), first):
        env |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return env
