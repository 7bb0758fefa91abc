"""The smoke test of a Bento: it runs in an environment made from its own lock alone."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.packaging.running import ask, served
from ratchet.predictions.assignment import arm_of


def ask_each_arm(bento: Path) -> dict[str, dict[str, Any]]:
    """Return each arm's answer to the input example of `prod`."""
    (lock,) = (bento / "src").glob("*/requirements.txt")
    python = python_of(lock)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RATCHET_", "PYTHON"))}
    with TemporaryDirectory() as folder:
        env = kept | {
            "RATCHET_LOG_URL": f"sqlite:///{folder}/predictions.db",
            "PYTHONDONTWRITEBYTECODE": "1",  # the Bento stays as it was built
        }
        with served(str(bento.absolute()), python, Path(folder), env) as address:
            return _answers(address)


def _answers(address: str) -> dict[str, dict[str, Any]]:
    status = ask(f"{address}/status")
    request = ask(f"{address}/docs.json")["paths"]["/predict"]["post"]["requestBody"]
    example = request["content"]["application/json"]["example"]
    staging = (status["staging"] or {}).get("version")
    split = status["split"]["ab_split_b"]
    arms = ["A", "B"] if staging and split > 0 else ["A"]
    users = (f"user-{n}" for n in range(1_000_000))
    user_of = {arm: next(u for u in users if arm_of(u, staging, split) == arm) for arm in arms}
    return {
        arm: _checked(ask(f"{address}/predict", example | {"user_id": user}), arm)
        for arm, user in user_of.items()
    }


def _checked(answer: dict[str, Any], arm: str) -> dict[str, Any]:
    if answer["variant"] != arm or answer["fallback"]:
        raise InputError(f"Arm {arm} was asked and the Bento answered {answer}")
    return answer
