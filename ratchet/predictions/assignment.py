"""User -> arm: by a salted hash of the user against the share of traffic that arm B has."""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Arm = Literal["A", "B"]
RESOLUTION = 2**53  # every value below it is exact in a double


def position(user_id: str, salt: str) -> float:
    """Where a user stands in [0, 1): the first 53 bits of BLAKE2b of the user, keyed by the salt.

    The salt is the staging version, so each test shuffles users anew. Nothing of the machine, the
    process or Python's own hash goes into it.

    >>> position("user-1", "7")
    0.1416515377895663
    """
    return _place(_keyed(salt), user_id) / RESOLUTION


def _place(keyed: "hashlib.blake2b", user_id: str) -> int:
    digest = keyed.copy()
    digest.update(user_id.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()) >> 11


@lru_cache(maxsize=8)
def _keyed(salt: str) -> "hashlib.blake2b":
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    return hashlib.blake2b(digest_size=8, key=key)


def arm_of(user_id: str, staging_version: str | None, split: float) -> Arm:
    """B below the split: raising it moves users from A to B only. Without staging: A."""
    return arms_of([user_id], staging_version, split)[0]


def arms_of(users: Sequence[str], staging_version: str | None, split: float) -> list[Arm]:
    if staging_version is None:
        return ["A"] * len(users)
    keyed, first_of_a = _keyed(staging_version), split * RESOLUTION
    return ["B" if _place(keyed, user) < first_of_a else "A" for user in users]


def hidden(user_id: str, secret: str) -> str:
    """A user's HMAC-SHA256, for logs that must not name users: the same each time, no way back.

    >>> hidden("user-1", "a secret")[:8]
    'db44496f'
    """
    return hmac.digest(secret.encode(), user_id.encode("utf-8", "surrogatepass"), "sha256").hex()
