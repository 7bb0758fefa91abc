"""Git tags that record each move of `prod`, and survive the loss of MLflow's store.

A tag points to the commit from which the version was trained. Its message contains everything that
is needed to train the version again.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ratchet.registry.registry import LedgerLine, Registry, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Tag:
    name: str
    commit: str
    title: str
    body: str


def prod_tags(registry: Registry, client: "MlflowClient") -> list[Tag]:
    """Return one tag for each time that a version became `prod`, the oldest first."""
    versions = {version.number: version for version in registry.versions()}
    times: Counter[str] = Counter()
    tags = []
    for line in registry.ledger():
        number = line.moves.get("prod", (None, None))[1]
        if not line.done or number is None or number not in versions:
            continue
        times[number] += 1
        version = versions[number]
        commit = version.tags.get("commit", "none")
        if commit != "none":
            name = tag_name(registry.model, number, times[number])
            title = f"{registry.model} v{number} in production"
            tags.append(Tag(name, commit, title, _body(version, line, client)))
    return tags


def tag_name(model: str, number: str, time: int) -> str:
    """
    >>> tag_name("iris", "7", 1), tag_name("iris", "7", 2)
    ('prod/iris/v7', 'prod/iris/v7-2')
    """
    return f"prod/{model}/v{number}" + (f"-{time}" if time > 1 else "")


def _body(version: Version, line: LedgerLine, client: "MlflowClient") -> str:
    record = {"ledger": asdict(line), "version": dict(version.tags), **_run(version, client)}
    before = line.moves["prod"][0]
    return (
        f"{version}; before it: {f'v{before}' if before else 'nothing'}.\n\n{line.reason}\n\n"
        f"Moved by {line.by} at {line.time[:19]}Z. Trained from commit"
        f" {version.tags['commit']}. Evidence: run {line.evidence}.\n\n"
        f"```json\n{json.dumps(record, indent=1, sort_keys=True)}\n```\n"
    )


def _run(version: Version, client: "MlflowClient") -> dict[str, object]:
    """Return the run's parameters and metrics, or nothing if the run was deleted for good."""
    from mlflow.exceptions import MlflowException

    try:
        data = client.get_run(version.run_id).data
    except MlflowException:
        return {}
    return {"parameters": dict(data.params), "metrics": dict(data.metrics)}
