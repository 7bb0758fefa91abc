"""site.yml, run by act: the site of a store on the git ref. GitHub Pages is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, Acted, Fork, new_fork
from tests.github import GitHub, serving
from tests.stores import new_checkout, python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]
FILL = """
from pathlib import Path
import mlflow
from ratchet.store import state
from ratchet.store.remote import store_remote
from tests.histories import MadeUpStore
folder = Path.cwd()
git = store_remote(folder)
state.take(git, folder, to_change=True)
mlflow.MlflowClient().search_experiments()
MadeUpStore(folder, versions=7, checks=5).write()
state.put(git, folder)
"""


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    with serving() as github:
        yield filled_fork(tmp_path_factory.mktemp("fork"), github)


def filled_fork(folder: Path, github: GitHub) -> Fork:
    fork = new_fork(folder, github)
    done = python(FILL, new_checkout(folder / "filling", fork.remote))
    assert done.returncode == 0, done.stderr
    return fork


def completed(fork: Fork, event: str, name: str, variables: dict[str, str]) -> Acted:
    """Run the workflow as after a run of another workflow, which was started by this event."""
    run = {"event": event, "conclusion": "success", "head_branch": "main"}
    tree = fork.checkout(name)
    return fork.act("workflow_run", "site", tree, {"workflow_run": run}, variables=variables)


def test_a_finished_run_publishes_the_site_of_the_store(fork: Fork):
    acted = completed(fork, "push", "tree", {"RATCHET_SITE": "true"})
    assert acted.code == 0, acted.output
    assert acted.jobs == {"publish": "success"}
    site = fork.folder / "uploaded" / "github-pages"
    text = (site / "index.html").read_text()
    assert "v4 is in production, v7 is tested against it." in text
    assert "keep testing: staging leads by 2.0 points" in text
    assert (site / "report-promote.html").exists()
    assert "python -m steps.promote" not in "".join(acted.steps("publish"))


@pytest.mark.parametrize(
    ("event", "variables"), [("push", {}), ("pull_request", {"RATCHET_SITE": "true"})]
)
def test_nothing_is_published_if_it_is_off_or_after_a_pull_request(
    fork: Fork, event: str, variables: dict[str, str]
):
    acted = completed(fork, event, f"off-{event}", variables)
    assert acted.code == 0, acted.output
    assert acted.jobs == {}
