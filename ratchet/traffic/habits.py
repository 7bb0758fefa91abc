"""What each user asks for: known beforehand, the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratchet.traffic.rows import Rows

OWN_ROWS = 3
OWN_SHARE = 0.8


@dataclass(frozen=True)
class Ask:
    user_id: str
    features: dict[str, Any]
    label: Any
    user_luck: float  # in [0, 1): the user's, the same at every request
    luck: float  # this request's
    patience: float  # whether anyone will say what was right; tied to nothing else


def asks(rows: Rows, requests: int, users: int, seed: int) -> Iterator[Ask]:
    """Each user has rows of its own, asked for four times in five; some ask far more than others.

    A log's requests come in their order, each from its own user, and again from the start when they
    are used up.
    """
    rng = np.random.default_rng(seed)
    own = rng.integers(len(rows), size=(users, OWN_ROWS))
    activity = rng.exponential(size=users)
    who = rng.choice(users, size=requests, p=activity / activity.sum())
    its_own = rng.random(requests) < OWN_SHARE
    anywhere = rng.integers(len(rows), size=requests)
    which = np.where(its_own, own[who, rng.integers(OWN_ROWS, size=requests)], anywhere)
    user_luck, luck, patience = rng.random(users), rng.random(requests), rng.random(requests)
    for number in range(requests):
        row = number % len(rows) if rows.users else int(which[number])
        user = rows.users[row] if rows.users else f"user-{seed}-{who[number]}"
        yield Ask(
            user, rows.features[row], rows.labels[row],
            float(user_luck[who[number]]), float(luck[number]), float(patience[number]),
        )  # fmt: skip
