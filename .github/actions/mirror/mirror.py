"""Tags and releases that the ledger has and GitHub has not. What is there is never changed."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def main() -> None:
    for tag in json.loads(Path("reports/history/history.json").read_text())["tags"]:
        if ask("GET", f"git/ref/tags/{tag['name']}") is None:
            make_tag(tag)
        if ask("GET", f"releases/tags/{tag['name']}") is None:
            release = {"tag_name": tag["name"], "name": tag["title"], "body": tag["body"]}
            ask("POST", "releases", release)


def make_tag(tag: dict[str, str]) -> None:
    message = f"{tag['title']}\n\n{tag['body']}"
    wanted = {"tag": tag["name"], "message": message, "object": tag["commit"], "type": "commit"}
    made = ask("POST", "git/tags", wanted)
    ask("POST", "git/refs", {"ref": f"refs/tags/{tag['name']}", "sha": made["sha"]})
    print(f"Tagged {tag['name']}")


def ask(method: str, path: str, content: Any = None) -> Any:
    """None where there is no such thing."""
    api, repository = os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"]
    request = urllib.request.Request(  # noqa: S310
        f"{api}/repos/{repository}/{path}",
        method=method,
        data=None if content is None else json.dumps(content).encode(),
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if method == "GET" and error.code == 404:
            return None
        raise


if __name__ == "__main__":
    main()
