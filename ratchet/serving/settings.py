"""The settings of a deployment: environment variables, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import InputError
from ratchet.predictions.engine import log_url

MODELS = ".ratchet/serving"
MOST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ServiceSettings:
    log_url: str
    models: Path  # where a checkout keeps the models it serves
    admin_token: str | None  # none: the admin routes are closed
    predict_token: str | None  # none: anyone may ask
    user_secret: str | None
    most_bytes: int  # of a request's body


def read_service_settings(env: Mapping[str, str] = os.environ) -> ServiceSettings:
    most = env.get("RATCHET_MAX_BODY_BYTES", str(MOST_BYTES))
    if not most.isdecimal():
        raise InputError(f"RATCHET_MAX_BODY_BYTES={most}: expected a whole number of bytes")
    return ServiceSettings(
        log_url(),
        Path(env.get("RATCHET_MODELS", MODELS)).absolute(),
        env.get("RATCHET_ADMIN_TOKEN") or None,
        env.get("RATCHET_PREDICT_TOKEN") or None,
        env.get("RATCHET_USER_SECRET") or None,
        int(most),
    )
