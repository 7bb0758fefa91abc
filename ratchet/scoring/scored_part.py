"""A part of a file, scored: its predictions, its profile, and the rows that were refused.

Parts have a fixed number of rows, so a run that was stopped continues after its last whole part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ratchet.profile.profile import Profile
from ratchet.profile.sample import Sample

PART_ROWS = 262_144
MAX_EXAMPLES = 5
PREDICTION, VERSION, ROW, REFUSED = "prediction", "model_version", "row", "refused"
PROBABILITY = "probability_"


@dataclass(frozen=True)
class ScoredPart:
    predictions: pa.Table
    profile: Profile
    sample: Sample
    refused: int
    examples: Sequence[str]  # the first refused rows, and why

    @property
    def rows(self) -> int:
        return self.profile.rows
