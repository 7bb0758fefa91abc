"""The serving part of `benchmarks.zoo`: JSON, the compiled form, the service and a Bento."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.zoo_outcome import Outcome
from ratchet.data.split import Split
from ratchet.model import model_file
from ratchet.packaging.bento import pack
from ratchet.packaging.running import ask
from ratchet.packaging.smoke import ask_each_arm
from ratchet.registry.registry import Registry, Version
from ratchet.serving.card import copy_from_mlflow
from ratchet.serving.estimators import same
from ratchet.serving.served_model import ServedModel

SERVICE = Path(__file__).parent.parent / "bentos"
ROWS_ASKED = 100
SECONDS_TO_FOLLOW = 120


def serve(version: Version, registry: Registry, split: Split, outcome: Outcome) -> ServedModel:
    """Copy the version as a Bento does, ask it by JSON, and compare with the trained pipeline."""
    source, copy = registry.folder(version), Path("served") / version.number
    copy_from_mlflow(source, registry.model, version.number, str(version), copy)
    served = ServedModel(copy)
    features = split.holdout[0].head(ROWS_ASKED)
    request, _ = served.inputs.read(body_of(features))
    answers = [json.loads(answer) for answer, _ in served.answers(request.values)]
    expected = np.asarray(model_file.load(source).predict(features)).tolist()
    outcome.versions += 1
    outcome.compare(f"{version} by JSON", answers, expected)
    if served.direct:
        outcome.compiled += 1
        if not same(served.direct(request.values), served.by_pipeline(request.values)):
            outcome.disagreements.append(f"{version}: the compiled form answers otherwise.")
    return served


def body_of(features: pd.DataFrame) -> bytes:
    return json.dumps(
        [{"user_id": f"u{i}", "features": row} for i, row in enumerate(rows_of(features))]
    ).encode()


def rows_of(features: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Return the rows as JSON has them: None for a missing value, and dates as text."""
    cells = features.astype(object).where(features.notna(), None)
    return [
        {str(k): v.isoformat() if isinstance(v, pd.Timestamp) else v for k, v in row.items()}
        for row in cells.to_dict("records")
    ]


def ask_over_http(
    service: str,
    registry: Registry,
    served: Mapping[str, ServedModel],
    split: Split,
    outcome: Outcome,
) -> None:
    """Let the service follow two versions of the table, and compare its answers with theirs."""
    roles = aliases_to_ask(registry, served)
    wait_until_served(service, roles)
    features = split.holdout[0].head(ROWS_ASKED)
    answers = ask(f"{service}/predict", json.loads(body_of(features)))
    for number in set(roles.values()):
        model = served[number]
        request, _ = model.inputs.read(body_of(features))
        expected = [json.loads(answer) for answer, _ in model.answers(request.values)]
        pairs = [
            (answer["prediction"], label)
            for answer, label in zip(answers, expected, strict=True)
            if answer["model_version"] == number and not answer["fallback"]
        ]
        outcome.asked += len(pairs)
        outcome.compare(f"v{number} over HTTP", [a for a, _ in pairs], [b for _, b in pairs])


def aliases_to_ask(registry: Registry, served: Mapping[str, ServedModel]) -> dict[str, str]:
    """Make the last other version staging, so that both arms answer. Return the aliases."""
    aliases = registry.aliases()
    prod = aliases.get("prod") or next(iter(served))
    others = [n for n, one in served.items() if one.interface == served[prod].interface]
    roles = {"prod": prod}
    if others := [number for number in others if number != prod]:
        roles["staging"] = max(others, key=int)
    registry.move(roles, "the zoo asks both arms", "zoo")
    return roles


def wait_until_served(service: str, roles: Mapping[str, str]) -> None:
    end = time.monotonic() + SECONDS_TO_FOLLOW
    while time.monotonic() < end:
        status = ask(f"{service}/status")
        if {role: status[role]["version"] for role in roles if status[role]} == roles:
            return
        refused = {n: why for n, why in status["refused"].items() if n in roles.values()}
        if refused or status["failures"]:
            raise AssertionError(f"the service refuses {refused or status['failures']}")
        time.sleep(0.1)
    raise AssertionError(f"the service does not follow the aliases {roles}: {status}")


def pack_and_ask(registry: Registry, outcome: Outcome) -> None:
    prod, staging = registry.holder("prod"), registry.holder("staging")
    assert prod is not None
    bento = pack(prod, staging, registry, SERVICE)
    answers = ask_each_arm(Path(bento.path))
    outcome.bento = f"{bento.tag}: arms {', '.join(answers)}"
