"""The ledger as tags and releases on GitHub: python3 -m ratchet.github.mirror

Reads reports/history/history.json and creates what is missing. Existing tags never change. GitHub
refuses a tag on a commit whose workflow files differ from those of every branch. Such a tag is put
on the tip of the default branch; its message names the commit that the version was trained from.
"""

import json
import sys
from pathlib import Path

from ratchet.github.client import GitHubError, Repository

HISTORY = Path("reports/history/history.json")


def main() -> None:
    repository = Repository.from_environment()
    refs = {one["ref"] for one in repository.pages("git/matching-refs/tags/prod/")}
    releases = {one["tag_name"] for one in repository.pages("releases")}
    refused = []
    for tag in json.loads(HISTORY.read_text())["tags"]:
        try:
            if f"refs/tags/{tag['name']}" not in refs:
                create_tag(repository, tag)
            if tag["name"] not in releases:
                release = {"tag_name": tag["name"], "name": tag["title"], "body": tag["body"]}
                repository.post("releases", release)
        except GitHubError as error:
            refused.append(f"{tag['name']}: {error}")
    if refused:
        sys.exit("\n".join(refused))


def create_tag(repository: Repository, tag: dict[str, str]) -> None:
    try:
        _create_tag(repository, tag, tag["commit"])
    except GitHubError as error:
        if error.status != 403:
            raise
        _create_tag(repository, tag, _default_tip(repository))


def _create_tag(repository: Repository, tag: dict[str, str], commit: str) -> None:
    message = f"{tag['title']}\n\n{tag['body']}"
    content = {"tag": tag["name"], "message": message, "object": commit, "type": "commit"}
    sha = repository.post("git/tags", content)["sha"]
    repository.post("git/refs", {"ref": f"refs/tags/{tag['name']}", "sha": sha})
    print(f"Tagged {commit[:12]} as {tag['name']}")


def _default_tip(repository: Repository) -> str:
    branch = repository.get()["default_branch"]
    return str(repository.request("GET", f"git/ref/heads/{branch}")["object"]["sha"])


if __name__ == "__main__":
    main()
