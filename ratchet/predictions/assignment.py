"""The assignment of users to arms: a salted hash of the user, compared with arm B's share."""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

Arm = Literal["A", "B"]
RESOLUTION = 2**53  # a float holds every integer below it exactly


def position(user_id: str, salt: str) -> float:
    """Return the user's position in [0, 1): the first 53 bits of BLAKE2b, keyed with the salt.

    The result does not depend on the machine, the process or PYTHONHASHSEED.

    >>> position("user-1", "7")
    0.1416515377895663
    """
    return _hash(_keyed(salt), user_id) / RESOLUTION


def _hash(keyed: "hashlib.blake2b", user_id: str) -> int:
    digest = keyed.copy()
    digest.update(user_id.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()) >> 11


@lru_cache(maxsize=8)
def _keyed(salt: str) -> "hashlib.blake2b":
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    return hashlib.blake2b(digest_size=8, key=key)


def salt_of(secret: str, staging_version: str | None) -> str | None:
    """Return the salt of a test; None without a staging version.

    Each staging version assigns the users independently. The secret keeps the arms unpredictable:
    anyone who could compute them could choose user ids that decide the test.
    """
    return None if staging_version is None else f"{secret}/{staging_version}"


def arms_of(users: Sequence[str], salt: str | None, split: float) -> list[Arm]:
    """Return B for each user whose position is below the split, otherwise A.

    Raising the split therefore moves users from A to B only. Without a salt everybody is in A.
    """
    if salt is None:
        return ["A"] * len(users)
    keyed, limit = _keyed(salt), split * RESOLUTION
    return ["B" if _hash(keyed, user) < limit else "A" for user in users]


def pseudonymize(user_id: str, secret: str) -> str:
    """Return the user's HMAC-SHA256: the same each time, and it cannot be reversed.

    >>> pseudonymize("user-1", "a secret")[:8]
    'db44496f'
    """
    return hmac.digest(secret.encode(), user_id.encode("utf-8", "surrogatepass"), "sha256").hex()
