"""package.yml, run by act: called by train after an alias moved. Docker is a stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acting import ACT, MISSING, new_fork
from tests.github import GitHub, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(ACT is None, reason=MISSING),
]
DIGEST = f"sha256:{7:064d}"


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with serving() as started:
        yield started


def test_a_push_that_moves_an_alias_builds_one_bento_and_pushes_and_attests_its_image(
    tmp_path: Path, github: GitHub
):
    fork = new_fork(tmp_path, github)
    tree = fork.checkout("tree")
    acted = fork.act("push", "train", tree)
    assert acted.code == 0, acted.output
    assert set(acted.jobs) == {"train", "package", "record", "mirror"}
    assert set(acted.jobs.values()) == {"success"}
    bento = acted.outputs("package")["bento"]
    assert f"{bento} was built." in acted.summary
    uploaded = fork.folder / "uploaded"
    assert (uploaded / "bento" / "ratchet.bento").stat().st_size > 1000
    digest = bento.split(":")[1]
    commands = (uploaded / "docker").read_text().splitlines()
    pushed = [line for line in commands if line.startswith("push ")]
    assert pushed == [f"push ghcr.io/me/ratchet:{digest}"]
    (built,) = [line for line in commands if "build" in line and "imagetools" not in line]
    assert f"ghcr.io/me/ratchet:{digest}" in built
    assert (uploaded / "attested").read_text() == f"ghcr.io/me/ratchet@{DIGEST}\n"
