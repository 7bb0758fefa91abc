"""The ledger's moves of prod as annotated git tags: they survive the loss of the store.

A tag stands on the commit that the version was trained from, and says everything it takes to train
it again.
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
    """The oldest first. A version that comes back has a tag for each time."""
    versions = {version.number: version for version in registry.versions()}
    times: Counter[str] = Counter()
    found = []
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
            found.append(Tag(name, commit, title, _body(version, line, client)))
    return found


def tag_name(model: str, number: str, time: int) -> str:
    """
    >>> tag_name("iris", "7", 1), tag_name("iris", "7", 2)
    ('prod/iris/v7', 'prod/iris/v7-2')
    """
    return f"prod/{model}/v{number}" + (f"-{time}" if time > 1 else "")


def _body(version: Version, line: LedgerLine, client: "MlflowClient") -> str:
    facts = {"ledger": asdict(line), "version": dict(version.tags), **_run(version, client)}
    before = line.moves["prod"][0]
    return (
        f"{version}, before it {f'v{before}' if before else 'nothing'}.\n\n{line.reason}\n\n"
        f"By {line.by}, {line.time[:19]}Z; evidence: run {line.evidence}.\n\n"
        f"```json\n{json.dumps(facts, indent=1, sort_keys=True)}\n```\n"
    )


def _run(version: Version, client: "MlflowClient") -> dict[str, object]:
    """Nothing where the run was deleted for good: its version may outlive it."""
    from mlflow.exceptions import MlflowException

    try:
        data = client.get_run(version.run_id).data
    except MlflowException:
        return {}
    return {"parameters": dict(data.params), "metrics": dict(data.metrics)}
