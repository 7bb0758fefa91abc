"""The plan of the requests to send. The same seed gives the same requests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratchet.traffic.rows import Rows

ROWS_PER_USER = 3
SHARE_OF_OWN_ROWS = 0.8


@dataclass(frozen=True)
class PlannedRequest:
    """A request, with the random numbers in [0, 1) that later decide about its label."""

    user_id: str
    features: dict[str, Any]
    label: Any
    user_draw: float  # the same for all requests of a user
    label_draw: float  # decides whether the answer counts as right
    labelled_draw: float  # decides whether a label is sent at all


def plan_requests(rows: Rows, requests: int, users: int, seed: int) -> Iterator[PlannedRequest]:
    """Yield requests of simulated users, or those of a log again.

    Each simulated user has three rows, which four in five of the user's requests use; the others
    use any row. The number of requests per user is exponentially distributed. If the rows come from
    a log, they are yielded in the order of the log with its user ids, and again from the start if
    more requests are wanted.
    """
    rng = np.random.default_rng(seed)
    own_rows = rng.integers(len(rows), size=(users, ROWS_PER_USER))
    activity = rng.exponential(size=users)
    user = rng.choice(users, size=requests, p=activity / activity.sum())
    is_own = rng.random(requests) < SHARE_OF_OWN_ROWS
    any_row = rng.integers(len(rows), size=requests)
    row = np.where(is_own, own_rows[user, rng.integers(ROWS_PER_USER, size=requests)], any_row)
    user_draw, label_draw = rng.random(users), rng.random(requests)
    labelled_draw = rng.random(requests)
    for number in range(requests):
        place = number % len(rows) if rows.users else int(row[number])
        yield PlannedRequest(
            user_id=rows.users[place] if rows.users else f"user-{seed}-{user[number]}",
            features=rows.features[place],
            label=rows.labels[place],
            user_draw=float(user_draw[user[number]]),
            label_draw=float(label_draw[number]),
            labelled_draw=float(labelled_draw[number]),
        )
