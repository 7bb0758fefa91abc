"""A version's model, loaded, and with the fastest code that gives the pipeline's answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.columns import from_json
from ratchet.model import model_file
from ratchet.serving.card import read_card
from ratchet.serving.comparison import rows_to_compare
from ratchet.serving.direct import Direct, Rows
from ratchet.serving.estimators import NoDirectPathError, Scores, same

if TYPE_CHECKING:
    import pandas as pd


class CheckedModel:
    def __init__(self, folder: Path) -> None:
        self.card = read_card(folder)
        self.version = self.card.version
        self.pipeline = model_file.load(folder)
        _use_one_thread(self.pipeline)
        self.classes: list[Any] = np.asarray(self.pipeline.classes_).tolist()
        self._names = [column.name for column in self.card.columns]
        self.why_not_faster: str | None = None
        self.direct = self._checked_direct_path()

    @property
    def path(self) -> str:
        """Return the name of the scoring path that /status shows."""
        return f"direct, {self.direct.form.name}" if self.direct else "pipeline"

    def by_pipeline(self, rows: Rows) -> Scores:
        frame = self.frame(rows)
        classes = np.asarray(self.pipeline.predict(frame))
        if not hasattr(self.pipeline, "predict_proba"):
            return classes, None
        return classes, np.asarray(self.pipeline.predict_proba(frame))

    def frame(self, rows: Rows) -> "pd.DataFrame":
        """Return the rows as training saw them."""
        import pandas as pd

        columns = zip(self.card.columns, zip(*rows, strict=True), strict=True)
        return pd.DataFrame({one.name: from_json(cells, one.type) for one, cells in columns})

    def _checked_direct_path(self) -> Direct | None:
        """Return the direct path if it answers many rows as the pipeline does."""
        try:
            direct = Direct(self.pipeline, self._names, self.card.example_rows())
            rows = rows_to_compare(self.card, self.pipeline)
            if not (same(direct(rows), self.by_pipeline(rows)) and direct.agrees_near_thresholds()):
                raise NoDirectPathError("its direct path answers differently than its pipeline")
        except Exception as error:  # an estimator may raise anything when it gets bare arrays
            self.why_not_faster = str(error) or type(error).__name__
            return None
        self.why_not_faster = direct.form.why_not_faster
        return direct


def _use_one_thread(pipeline: Any) -> None:
    """Workers use the cores; a pool of threads in each costs more than one row takes."""
    parameters = pipeline.get_params()
    one = {name: 1 for name in parameters if name.rpartition("__")[2] == "n_jobs"}
    pipeline.set_params(**one)
