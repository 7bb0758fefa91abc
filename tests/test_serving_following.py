"""The follower of the aliases: the versions it serves, and the repair of its copies on disk."""

import errno
import shutil
from pathlib import Path

import pytest

from ratchet.serving import following
from ratchet.serving.active_versions import FILE, read_active_versions
from ratchet.serving.following import Follower
from ratchet.serving.served_model import ServedModel
from tests.small_registry import SmallRegistry


@pytest.fixture
def registry(tmp_path: Path) -> SmallRegistry:
    registry = SmallRegistry(tmp_path / "store", named={"prod": "1", "staging": "2"})
    registry.add("1", ["big", "small"])
    registry.add("2", ["big", "small"])
    return registry


def versions(models: Path) -> tuple[str | None, str | None]:
    active = read_active_versions(models)
    assert active
    return active.prod, active.staging


def test_a_staging_version_with_other_classes_or_features_is_refused(
    registry: SmallRegistry, tmp_path: Path
) -> None:
    registry.add("3", ["large", "small"])
    registry.add("4", ["big", "small"], column="height")
    follower = Follower(tmp_path / "models", "iris")
    for number, reason in (
        ("3", "its classes are not those of prod: large, small instead of big, small"),
        ("4", "its features are not those of prod: height, width"),
    ):
        registry.named["staging"] = number
        follower.look(registry)
        assert versions(tmp_path / "models") == ("1", None)
        assert follower.active.refused == {number: reason}
    registry.named["staging"] = "2"
    follower.look(registry)
    assert versions(tmp_path / "models") == ("1", "2")
    assert follower.active.refused == {}


@pytest.mark.parametrize("restarted", [True, False])
@pytest.mark.parametrize("file", ["model.skops", "served.json"])
def test_a_damaged_copy_is_copied_again(
    registry: SmallRegistry, tmp_path: Path, file: str, restarted: bool
) -> None:
    models = tmp_path / "models"
    follower = Follower(models, "iris")
    follower.look(registry)
    copy = models / "iris-1" / file
    copy.write_bytes(copy.read_bytes()[:100])
    follower = Follower(models, "iris") if restarted else follower
    follower.look(registry)
    assert ServedModel(models / "iris-1").version == "1"
    assert versions(models) == ("1", "2")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"unknown": 1}'])
def test_a_damaged_file_of_active_versions_is_written_again(
    registry: SmallRegistry, tmp_path: Path, content: str
) -> None:
    models = tmp_path / "models"
    Follower(models, "iris").look(registry)
    (models / FILE).write_text(content)
    assert read_active_versions(models) is None
    Follower(models, "iris").look(registry)
    assert versions(models) == ("1", "2")


def test_a_version_refused_because_of_a_full_disk_is_loaded_later(
    registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, real = tmp_path / "models", shutil.copyfile
    follower = Follower(models, "iris")
    follower.look(registry)
    registry.add("3", ["big", "small"])
    registry.named["prod"] = "3"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    follower.look(registry)
    assert versions(models) == ("1", "2")
    assert "No space left on device; it is tried again" in follower.active.refused["3"]
    monkeypatch.setattr(shutil, "copyfile", real)
    follower.look(registry)
    assert versions(models) == ("3", "2")
    assert follower.active.refused == {}


def test_a_version_that_cannot_be_loaded_is_refused_until_the_follower_starts_again(
    registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    good = (registry.at / "2/model.skops").read_bytes()
    (registry.at / "2/model.skops").write_bytes(good[:50])
    follower = Follower(models, "iris")
    follower.look(registry)
    assert versions(models) == ("1", None)
    assert list(follower.active.refused) == ["2"]
    (registry.at / "2/model.skops").write_bytes(good)
    follower.look(registry)
    assert versions(models) == ("1", None)
    Follower(models, "iris").look(registry)
    assert versions(models) == ("1", "2")


def test_a_full_disk_does_not_end_the_follower(
    registry: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = following.write_active_versions
    follower = Follower(tmp_path / "models", "iris")
    monkeypatch.setattr(following, "write_active_versions", full)
    follower.look(registry)
    follower.registry_is_down(OSError("gone"))
    monkeypatch.setattr(following, "write_active_versions", real)
    follower.look(registry)
    assert versions(tmp_path / "models") == ("1", "2")
