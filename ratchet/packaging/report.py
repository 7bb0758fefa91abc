"""The report of a Bento: the version of each arm, and its answer in the smoke test."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ratchet.packaging.bento import Bento
from ratchet.registry.registry import Version
from ratchet.report import Report, Row, markdown_table

ROLES = {"A": "prod", "B": "staging"}


def package_report(
    bento: Bento, versions: Mapping[str, Version | None], answers: Mapping[str, Any]
) -> Report:
    numbers = {role: str(version) if version else None for role, version in versions.items()}
    table = markdown_table(rows_by_arm(bento, versions, answers))
    return Report(
        "package",
        asdict(bento) | {"versions": numbers, "answers": answers},
        f"## Package\n\n{table}\n\n{sentence(bento)}\n",
        {
            "bento": bento.tag,
            "path": bento.path,
            "versions": "-".join(f"v{one.number}" for one in versions.values() if one),
        },
    )


def rows_by_arm(
    bento: Bento, versions: Mapping[str, Version | None], answers: Mapping[str, Any]
) -> list[Row]:
    return [
        {
            "arm": arm,
            "role": role,
            "version": str(versions[role]),
            "BentoML model": bento.models[role],
            "answered": json.dumps(answers[arm]["prediction"]) if arm in answers else "not asked",
        }
        for arm, role in ROLES.items()
        if role in bento.models
    ]


def sentence(bento: Bento) -> str:
    return f"{bento.tag} {'existed already' if bento.was_there else 'was built'}."
