"""The arms of the active versions: a version that is replaced still answers its requests."""

import asyncio
import gc
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ratchet.serving import arms
from ratchet.serving.active_versions import ActiveVersions
from ratchet.serving.arms import ArmsInForce


def slow(folder: Path) -> Any:
    def answers(rows: list[tuple[Any, ...]]) -> list[tuple[str, None]]:
        time.sleep(0.05)
        return [(f"{row[0]} by {folder.name}", None) for row in rows]

    return SimpleNamespace(version=folder.name, is_quick=False, answers=answers)


async def replace_version_during_requests(
    in_force: ArmsInForce, active: list[ActiveVersions]
) -> list[Any]:
    """Let the model work on one request while two wait, then change the version."""
    waiting = []
    while active:
        await in_force.look()
        active.pop(0)
        assert in_force.current
        for number in range(3):
            waiting.append(in_force.current.prod.ask([(number,)]))
            await asyncio.sleep(0.01)
    in_force.current = None
    return await asyncio.wait_for(asyncio.gather(*waiting), 5)


def test_no_request_is_dropped_when_the_version_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    active = [ActiveVersions("iris", "8"), ActiveVersions("iris", "9")]
    monkeypatch.setattr(arms, "ServedModel", slow)
    monkeypatch.setattr(arms, "read_active_versions", lambda _: active[0])
    answered = asyncio.run(replace_version_during_requests(ArmsInForce(tmp_path), active))
    assert answered == [[(f"{n} by {v}", None)] for v in ("iris-8", "iris-9") for n in range(3)]
    gc.collect()
    end = time.monotonic() + 5
    while any(thread.name.startswith("viris") for thread in threading.enumerate()):
        assert time.monotonic() < end, "the thread of a removed version has not ended"
        time.sleep(0.01)
