"""A message of one line to a chat: python3 -m ratchet.webhook "text"

RATCHET_WEBHOOK_URL is the address of an incoming webhook of Slack, Mattermost, Teams or of any
server that reads {"text": "..."}. If it is not set, nothing is sent.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit

SECONDS = 10
TEAMS = ("webhook.office.com", "logic.azure.com", "api.powerplatform.com")


def send(text: str, env: Mapping[str, str] = os.environ) -> None:
    """Send the text. If this fails, only print a warning, because the step has done its work.

    The warning does not contain the address, because who knows the address can write to the chat.
    """
    address = env.get("RATCHET_WEBHOOK_URL", "")
    if not address:
        return
    if not address.startswith(("https://", "http://")):
        warn("its address does not begin with https://")
        return
    body = json.dumps(content(text + link(env), address)).encode()
    headers = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(address, body, headers)  # noqa: S310
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310
    except HTTPError as error:
        warn(f"it answered {error.code}")
    except (OSError, ValueError, HTTPException) as error:
        warn(str(error).replace(address, "its address"))


def content(text: str, address: str) -> dict[str, object]:
    """Return the JSON that the server at the address understands.

    >>> content("drift", "https://chat.example.org/hooks/1")
    {'text': 'drift'}
    >>> content("drift", "https://prod-1.westeurope.logic.azure.com/workflows/1")["type"]
    'message'
    """
    if not (urlsplit(address).hostname or "").endswith(TEAMS):
        return {"text": text}
    card = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def link(env: Mapping[str, str]) -> str:
    """
    >>> link({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "me/fork",
    ...       "GITHUB_RUN_ID": "7"})
    ' https://github.com/me/fork/actions/runs/7'
    """
    if "GITHUB_RUN_ID" not in env:
        return ""
    server, repository = env["GITHUB_SERVER_URL"], env["GITHUB_REPOSITORY"]
    return f" {server}/{repository}/actions/runs/{env['GITHUB_RUN_ID']}"


def warn(reason: str) -> None:
    print(f"Warning: the webhook did not take the message: {reason}", file=sys.stderr)


if __name__ == "__main__":
    send(" ".join(sys.argv[1:]))
