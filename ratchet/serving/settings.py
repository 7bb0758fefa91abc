"""The settings of a deployment: environment variables, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import InputError
from ratchet.predictions.engine import log_url

MODELS = ".ratchet/serving"
MAX_BODY_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ServiceSettings:
    log_url: str
    models: Path  # the folder of the models that a service in a checkout copies from the registry
    admin_token: str | None  # None: the admin routes are closed
    predict_token: str | None  # None: /predict and /feedback are open
    user_secret: str | None
    max_body_bytes: int


def read_service_settings(env: Mapping[str, str] = os.environ) -> ServiceSettings:
    max_bytes = env.get("RATCHET_MAX_BODY_BYTES", str(MAX_BODY_BYTES))
    if not max_bytes.isdecimal():
        raise InputError(f"RATCHET_MAX_BODY_BYTES={max_bytes}: expected a whole number of bytes")
    return ServiceSettings(
        log_url(),
        Path(env.get("RATCHET_MODELS", MODELS)).absolute(),
        env.get("RATCHET_ADMIN_TOKEN") or None,
        env.get("RATCHET_PREDICT_TOKEN") or None,
        env.get("RATCHET_USER_SECRET") or None,
        int(max_bytes),
    )
