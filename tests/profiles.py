"""Profiles of data frames, as a reference or counted in the bins of one."""

import numpy as np
import pandas as pd

from ratchet.data.source import of_frame
from ratchet.profile.counting import column, counts, first_counts
from ratchet.profile.profile import Profile, emptied


def profile_of(frame: pd.DataFrame, like: Profile | None = None, rows: int = 1000) -> Profile:
    data = of_frame(frame)
    columns = [column(name, kind) for name, kind in zip(data.names, data.types, strict=True)]
    if like is None:
        features, _ = first_counts(data, columns, rows)
    else:
        features, _ = counts(data, columns, [emptied(c) for c in like.features.values()], rows)
    return Profile(len(frame), dict(zip(frame.columns, features, strict=True)))


def answered(right: int, wrong: int, unlabelled: int = 0, like: Profile | None = None) -> Profile:
    """Return a profile of 1000 rows with one constant feature and these answers."""
    rng = np.random.default_rng(0)
    truth = np.array([True] * right + [False] * wrong + [None] * unlabelled, dtype=object)
    predictions = np.resize(["yes", "no"], len(truth))
    parts = {
        name: profile_of(
            pd.DataFrame({name: values}),
            like and Profile(1, {name: getattr(like, name)}),
        ).features[name]
        for name, values in (("prediction", predictions), ("right", truth))
    }
    same = profile_of(pd.DataFrame({"x": rng.normal(size=1000)}), like)
    return Profile(1000, same.features, **parts)
