"""A tag and a release on GitHub for each move of `prod`: python3 -m ratchet.github.mirror

It reads the moves from reports/history/history.json, and creates the tags and releases that are
missing. It never changes an existing tag. GitHub refuses a tag on a commit whose workflow files are
not those of any branch. The tag then points to the newest commit of the default branch, and its
message names the commit from which the version was trained.
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
