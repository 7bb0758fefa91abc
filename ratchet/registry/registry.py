"""Versions, aliases and the ledger.

A move changes which versions the aliases point to. Each move has one ledger line, which is written
before the first alias changes and marked as done after the last one. If the process is killed in
between, the next call of `move` or `finish_moves` finishes the move. The lines are tags of the
registered model, so they are stored wherever the registry is.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import InputError
from ratchet.registry.lock import registry_lock
from ratchet.registry.provenance import is_demonstration, provenance

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIASES = ("prod", "staging", "previous")
STAGES = {"prod": "Production", "staging": "Staging", "previous": "Archived"}
LEDGER = "ledger."
PACKAGED = "packaged"  # the versions in the newest image, such as "v3-v4"


@dataclass(frozen=True)
class Version:
    number: str
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def verdict(self) -> str | None:
        return self.tags.get("verdict")

    def __str__(self) -> str:
        return f"v{self.number} ({self.tags.get('config', '?')})"


@dataclass(frozen=True)
class LedgerLine:
    time: str
    moves: dict[str, tuple[str | None, str | None]]  # alias: (old version, new version)
    reason: str
    commit: str
    evidence: str  # the id of the run that contains the evidence
    by: str
    done: bool = False
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # version: its new tags


class Overtaken(Exception):  # noqa: N818
    """The signal that another process moved the aliases after the caller had read them."""

    def __init__(self, line: LedgerLine) -> None:
        super().__init__(line.reason)
        self.line = line


class Registry:
    def __init__(self, client: "MlflowClient", model: str) -> None:
        self._client = client
        self.model = model

    def versions(self) -> list[Version]:
        """Return all versions with their tags and aliases, the newest first."""
        rows = self._client.search_model_versions(f"name = '{self.model}'", max_results=10_000)
        aliases = self.aliases()
        versions = [
            Version(
                str(row.version),
                row.run_id or "",
                dict(row.tags),
                tuple(alias for alias, number in aliases.items() if number == str(row.version)),
            )
            for row in rows
        ]
        return sorted(versions, key=lambda version: -int(version.number))

    def version(self, number: str) -> Version:
        for version in self.versions():
            if number in (version.number, *version.aliases):
                return version
        raise InputError(
            f"Model '{self.model}' has no version and no alias '{number}'. See which it has:"
            " make ui. To train a version: mlflow run . -e train"
        )

    def holder(self, alias: str) -> Version | None:
        return next((v for v in self.versions() if alias in v.aliases), None)

    def aliases(self) -> dict[str, str]:
        model = self._registered_model()
        known = model.aliases if model else {}
        return {alias: str(number) for alias, number in known.items() if alias in ALIASES}

    def register(self, run_id: str, model_id: str, tags: Mapping[str, str]) -> Version:
        """Register a version. The caller stores the model first, so every version has a model."""
        if self._registered_model() is None:
            self._client.create_registered_model(self.model)
        version = self._client.create_model_version(
            self.model, f"models:/{model_id}", run_id, tags=dict(tags), model_id=model_id
        )
        return Version(str(version.version), run_id, dict(tags), ())

    def tag(self, version: Version, **tags: str) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(self.model, version.number, key, value)

    def served(self) -> str:
        """Return the versions that an image must contain, such as "v3-v4" for prod and staging."""
        aliases = self.aliases()
        return "-".join(f"v{aliases[one]}" for one in ("prod", "staging") if one in aliases)

    def is_packaged(self) -> bool:
        """Return whether the newest image contains the versions that the aliases point to."""
        model = self._registered_model()
        tags = model.tags if model else {}
        return "prod" not in self.aliases() or tags.get(PACKAGED) == self.served()

    def record_packaged(self, versions: str) -> None:
        self._client.set_registered_model_tag(self.model, PACKAGED, versions)

    def location(self, version: Version) -> str:
        """Return the address of the version's stored model."""
        return str(self._client.get_model_version_download_uri(self.model, version.number))

    def folder(self, version: Version) -> Path:
        """Return the local folder of the version's MLflow model, after a download if needed."""
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(f"models:/{self.model}/{version.number}"))

    def move(
        self,
        to: Mapping[str, str | None],
        reason: str,
        evidence: str,
        tags: Mapping[str, Mapping[str, str]] = {},
        expected: Mapping[str, str] | None = None,
    ) -> LedgerLine:
        """Move each alias to a version, or delete it if its target is None.

        `expected` contains the aliases as they were when the caller decided. If they are different
        now, nothing moves and `Overtaken` is raised. If this process is killed, the next call
        finishes the move.
        """
        with registry_lock(self._client, self.model):
            self._finish()
            aliases = self.aliases()
            if expected is not None and aliases != expected:
                raise Overtaken(self.ledger()[-1])
            now = datetime.now(UTC)
            moves = {a: (aliases.get(a), n) for a, n in to.items() if aliases.get(a) != n}
            demo = is_demonstration()
            line = LedgerLine(
                time=now.isoformat(),
                moves=moves,
                reason=f"demonstration: {reason}" if demo else reason,
                commit=provenance().revision,
                evidence=evidence,
                by=_user(),
                tags=_marked(tags, moves if demo else {}),
            )
            self._apply(f"{LEDGER}{now:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}", line)
        return replace(line, done=True)

    def finish_moves(self) -> list[LedgerLine]:
        """Finish the moves that a killed process left unfinished, and return them."""
        if all(line.done for _, line in self._lines()):
            return []
        with registry_lock(self._client, self.model):
            return self._finish()

    def _finish(self) -> list[LedgerLine]:
        unfinished = [(key, line) for key, line in self._lines() if not line.done]
        for key, line in unfinished:
            self._apply(key, line)
        return [line for _, line in unfinished]

    def ledger(self) -> list[LedgerLine]:
        """Return all lines, the oldest first."""
        return [line for _, line in self._lines()]

    def _apply(self, key: str, line: LedgerLine) -> None:
        self._write(key, line)
        for alias, (_, number) in line.moves.items():
            if number is None:
                self._client.delete_registered_model_alias(self.model, alias)
            else:
                self._client.set_registered_model_alias(self.model, alias, number)
        for number, tags in line.tags.items():
            for tag, value in tags.items():
                self._client.set_model_version_tag(self.model, number, tag, value)
        self._tag_stages(line)
        self._write(key, replace(line, done=True))

    def _tag_stages(self, line: LedgerLine) -> None:
        alias_of = {number: alias for alias, number in self.aliases().items()}
        for number in {number for pair in line.moves.values() for number in pair if number}:
            stage = STAGES[alias_of[number]] if number in alias_of else "Archived"
            self._client.set_model_version_tag(self.model, number, "stage", stage)

    def _write(self, key: str, line: LedgerLine) -> None:
        self._client.set_registered_model_tag(self.model, key, json.dumps(asdict(line)))

    def _lines(self) -> list[tuple[str, LedgerLine]]:
        model = self._registered_model()
        tags = model.tags if model else {}
        keys = sorted(key for key in tags if key.startswith(LEDGER))
        return [(key, _parse(json.loads(tags[key]))) for key in keys]

    def _registered_model(self) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _marked(
    tags: Mapping[str, Mapping[str, str]], moves: Mapping[str, tuple[str | None, str | None]]
) -> dict[str, dict[str, str]]:
    """Return the tags with demo=true added for every version in `moves`."""
    moved = {number for pair in moves.values() for number in pair if number}
    return {
        n: {**tags.get(n, {}), **({"demo": "true"} if n in moved else {})} for n in {*tags, *moved}
    }


def _parse(content: dict[str, Any]) -> LedgerLine:
    moves = {alias: (pair[0], pair[1]) for alias, pair in content["moves"].items()}
    return LedgerLine(**content | {"moves": moves})


def _user() -> str:
    return os.environ.get("GITHUB_ACTOR") or getuser()
