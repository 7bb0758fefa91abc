"""The image's tags, with a stand-in for docker."""

import os
from pathlib import Path

import pytest

from ratchet.github import image
from tests.projects import REPOSITORY

DIGEST = f"sha256:{7:064d}"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the commands that docker was called with."""
    (tmp_path / "ratchet.bento").write_bytes(b"an archive")
    path = (str(REPOSITORY / "tests/programs"), os.environ["PATH"])
    for name, value in {
        "PATH": os.pathsep.join(path),
        "UPLOADED": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "outputs"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_REPOSITORY": "Me/Ratchet",
        "BENTO": "ratchet:0123abcd",
        "ARCHIVE": str(tmp_path / "ratchet.bento"),
        "DOCKERFILE": "src/bentos/Dockerfile",
        "VERSIONS": "v3-v4",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "docker"


def test_an_image_is_named_by_the_bentos_digest_and_pushed_once(commands: Path):
    for _ in range(2):
        image.main()
    lines = commands.read_text().splitlines()
    assert lines.count("push ghcr.io/me/ratchet:0123abcd") == 1
    assert [line for line in lines if line.startswith("build ")] == [
        "build --file=src/bentos/Dockerfile --tag=ghcr.io/me/ratchet:0123abcd -"
    ]
    outputs = (commands.parent / "outputs").read_text()
    assert outputs.startswith(f"name=ghcr.io/me/ratchet\ndigest={DIGEST}\n")


def test_prod_and_staging_are_tags_that_move(commands: Path, monkeypatch: pytest.MonkeyPatch):
    image.main()
    create = "buildx imagetools create --tag=ghcr.io/me/ratchet:prod"
    both = f"{create} --tag=ghcr.io/me/ratchet:staging ghcr.io/me/ratchet:0123abcd"
    assert both in commands.read_text()
    monkeypatch.setenv("VERSIONS", "v4")
    image.main()
    assert f"{create} ghcr.io/me/ratchet:0123abcd" in commands.read_text()
