"""The smoke test of a Bento, which runs in an environment with the Bento's own lock file only."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ratchet.environments import python_of
from ratchet.errors import InputError
from ratchet.packaging.running import ask, served

USERS_A_BATCH, MOST_BATCHES = 50, 200


def ask_each_arm(bento: Path) -> dict[str, dict[str, Any]]:
    """Serve the Bento and return each arm's answer to the input example of `prod`."""
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
    answers: dict[str, dict[str, Any]] = {}
    arms = {"A", "B"} if staging and 0 < split < 1 else {"B" if staging and split else "A"}
    for batch in range(MOST_BATCHES):  # only the service knows which users are in which arm
        users = range(batch * USERS_A_BATCH, (batch + 1) * USERS_A_BATCH)
        rows = [example | {"user_id": f"user-{user}"} for user in users]
        for answer in ask(f"{address}/predict", rows):
            answers.setdefault(answer["variant"], _checked(answer, staging))
        if arms <= set(answers):
            return dict(sorted(answers.items()))
    user_count = MOST_BATCHES * USERS_A_BATCH
    raise InputError(
        f"None of {user_count} users was in arm {min(arms - set(answers))}, because arm B's share"
        f" of the users is {split} (ab.split). Set a share that is farther from 0 and 1"
    )


def _checked(answer: dict[str, Any], staging: str | None) -> dict[str, Any]:
    if answer["fallback"]:
        raise InputError(
            f"Version {staging} of staging failed or was too slow, so prod answered in its place:"
            f" {answer}"
        )
    return answer
