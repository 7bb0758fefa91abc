"""A check for small shifts of several features at once.

Each feature has one or more functions of its bins: the normal score of a number's decile, and an
indicator per common category and for missing values. statistics/joint_shift.py tests their means.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from ratchet.profile.profile import Counts, NumberCounts, Profile
from ratchet.statistics.joint_shift import joint_shift_p_value

if TYPE_CHECKING:
    import pyarrow

MIN_SHARE = 0.05  # rarer categories are not looked at
MAX_COLUMNS = 300  # the first ones count
TOLERANCE = 0.04  # of the sum of the squared shifts, and at least
TOLERANCE_PER_FEATURE = 0.05**2  # a shift of 0.05 standard deviations in each feature


@dataclass(frozen=True)
class JointShift:
    """The result: `distance` is the root of the summed squared shifts, in standard deviations."""

    distance: float
    p_value: float
    features: tuple[str, ...]  # those that shifted most
    drifted: bool = False


def joint_shift(
    reference: Profile,
    current: Profile,
    sample: "pyarrow.Table",
    features: tuple[str, ...] = (),
    worth: float = 1.0,
) -> JointShift | None:
    """Compare all features at once. `sample` holds reference rows, `worth` as in repeats.py."""
    names = [name for name in features or reference.features if _has_rows(name, reference, current)]
    names = names[:MAX_COLUMNS]
    functions = {name: bin_functions(reference.features[name]) for name in names}
    functions = {name: values for name, values in functions.items() if values.shape[1]}
    if len(functions) < 2 or sample.num_rows < 2:
        return None
    shifts = {
        name: mean_of(current.features[name], values) - mean_of(reference.features[name], values)
        for name, values in functions.items()
    }
    rows = [
        values[reference.features[name].bins.index(sample.column(name).combine_chunks())]
        for name, values in functions.items()
    ]
    k = 1 / reference.rows + 1 / (current.rows * worth)
    all_shifts = np.concatenate(list(shifts.values()))
    tolerance = max(TOLERANCE, TOLERANCE_PER_FEATURE * len(functions))
    p_value = joint_shift_p_value(all_shifts, _correlations(np.hstack(rows)), k, tolerance)
    size = {name: float((values**2).sum()) for name, values in shifts.items()}
    largest = tuple(sorted(size, key=lambda name: -size[name]))[:3]
    return JointShift(float(np.sqrt((all_shifts**2).sum())), p_value, largest)


def _has_rows(name: str, reference: Profile, current: Profile) -> bool:
    return bool(reference.features[name].rows and current.features[name].rows)


def bin_functions(counts: Counts) -> np.ndarray:
    """Return functions of the bins, one per column, with mean 0 and variance 1 in the reference."""
    shares = counts.shares / counts.shares.sum()
    indicators = np.eye(len(shares))
    if isinstance(counts, NumberCounts):
        present = shares[:-1]
        below = np.cumsum(present) - present / 2
        scores = ndtri(np.clip(below / max(present.sum(), 1e-12), 1e-6, 1 - 1e-6))
        functions = np.column_stack([np.append(scores, 0.0), indicators[-1]])
        functions = functions[:, [True, bool(shares[-1] >= MIN_SHARE)]]
    else:
        functions = indicators[:, shares >= MIN_SHARE]
    centred = functions - shares @ functions
    spread = np.sqrt(shares @ centred**2)
    varied = spread > 1e-9
    return np.asarray(centred[:, varied] / spread[varied])


def mean_of(counts: Counts, functions: np.ndarray) -> np.ndarray:
    return np.asarray(counts.shares @ functions / counts.shares.sum())


def _correlations(rows: np.ndarray) -> np.ndarray:
    """Return the correlations in the sample; a function that does not vary there has none."""
    spread = rows.std(axis=0)
    centred = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    correlations = centred.T @ centred / len(rows)
    np.fill_diagonal(correlations, 1.0)
    return np.asarray(correlations)
