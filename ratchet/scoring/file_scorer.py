"""The scoring of one file: batches are read, scored in threads, and put together to parts."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ratchet.profile.counting import counted_in
from ratchet.profile.profile import CategoryCounts, Counts, Profile, emptied, summed
from ratchet.profile.reading import SAMPLE_ROWS
from ratchet.profile.sample import Sampler
from ratchet.scoring.batch_model import BatchModel
from ratchet.scoring.reading import Batch, Wanted, batches

if TYPE_CHECKING:
    from ratchet.settings import DataSettings
from pathlib import Path

from ratchet.profile.reading import column_of
from ratchet.scoring.request import Request
from ratchet.scoring.scored_part import (
    MAX_EXAMPLES,
    PART_ROWS,
    PREDICTION,
    PROBABILITY,
    REFUSED,
    ROW,
    VERSION,
    ScoredPart,
)
from ratchet.settings import Settings


@dataclass(frozen=True)
class Piece:
    """The result of one batch."""

    rows: int
    predictions: pa.Table | None  # None if a row was refused, and refused rows stop the run
    counted: Sequence[Counts]
    answers: CategoryCounts | None
    sampled: pa.RecordBatch
    refused: Sequence[str]


@dataclass(frozen=True)
class FileScorer:
    model: BatchModel
    wanted: Wanted
    reference: Profile
    settings: "DataSettings"
    null_if_refused: bool
    threads: int

    def parts(
        self, file: str, rows_before: int, finished_parts: int = 0, one_of_several: bool = False
    ) -> Iterator[ScoredPart]:
        """Score a file after its finished parts. `rows_before` is the rows in the files before."""
        start = rows_before + finished_parts * PART_ROWS
        growing = _Growing(self.reference, start)
        for piece in self._pieces(file, rows_before, finished_parts, one_of_several):
            growing.add(piece)
            if growing.rows == PART_ROWS:
                yield growing.finished()
                start += PART_ROWS
                growing = _Growing(self.reference, start)
        if growing.rows:
            yield growing.finished()

    def _pieces(
        self, file: str, rows_before: int, finished_parts: int, one_of_several: bool
    ) -> Iterator[Piece]:
        """Score batches in threads, and yield the results in the order of the rows."""
        skipped = finished_parts * PART_ROWS
        state = _State()
        with ThreadPoolExecutor(self.threads, initializer=use_one_thread) as pool:
            waiting: deque[Future[Piece]] = deque()
            for start, batch in _cut(batches(file, self.settings, self.wanted, one_of_several)):
                if start < skipped:
                    continue
                waiting.append(pool.submit(self._piece, batch, rows_before + start, state))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _piece(self, batch: Batch, start: int, state: "_State") -> Piece:
        empty = [emptied(counts) for counts in self.reference.features.values()]
        pairs = zip(batch.counted, empty, strict=True)
        counted = [counted_in(values, unreadable, counts) for (values, unreadable), counts in pairs]
        sampled = pa.RecordBatch.from_arrays(
            [values for values, _ in batch.counted], list(self.reference.features)
        )
        refused = [f"row {start + row}: {why}" for row, why in sorted(batch.refused.items())]
        if refused and not self.null_if_refused:
            state.stopped = True
        predictions, answers = None, None
        if not state.stopped:
            predictions = self._predictions(batch, start)
            answers = self._answers(predictions.column(PREDICTION).combine_chunks())
        return Piece(batch.rows, predictions, counted, answers, sampled, refused)

    def _predictions(self, batch: Batch, start: int) -> pa.Table:
        names, columns = list(self.wanted.key), list(batch.key)
        if not names:
            names, columns = [ROW], [pa.array(np.arange(start, start + batch.rows))]
        classes, probabilities = self.model.scores(batch.inputs)
        scored = [pa.array(classes)]
        names.append(PREDICTION)
        if probabilities is not None:
            scored += [pa.array(np.ascontiguousarray(column)) for column in probabilities.T]
            names += [f"{PROBABILITY}{label}" for label in self.model.classes]
        if batch.refused:
            mask = np.zeros(batch.rows, dtype=bool)
            mask[list(batch.refused)] = True
            scored = [pc.if_else(pa.array(mask), pa.scalar(None, c.type), c) for c in scored]
        columns += scored
        columns.append(_repeated(self.model.card.version, batch.rows))
        names.append(VERSION)
        if self.null_if_refused:
            reasons = [batch.refused.get(row) for row in range(batch.rows)]
            columns.append(
                pa.array(reasons, pa.string())
                if batch.refused
                else pa.nulls(batch.rows, pa.string())
            )
            names.append(REFUSED)
        return pa.Table.from_arrays(columns, names)

    def _answers(self, predictions: pa.Array) -> CategoryCounts | None:
        """Count the predicted classes in the bins of the answers on the holdout."""
        holdout = self.reference.prediction
        if holdout is None:
            return None
        texts = pa.array([_text_of_class(label) for label in self.model.classes], pa.string())
        place = pc.index_in(predictions, value_set=pa.array(self.model.classes))
        counts, unseen = holdout.bins.count(texts.take(place))
        examples = holdout.bins.examples(unseen)
        return replace(
            emptied(holdout), counts=counts, missing=predictions.null_count, examples=examples
        )


class _Growing:
    """The part that is being put together. It keeps the results of batches, and no batch."""

    def __init__(self, reference: Profile, start: int) -> None:
        self.rows = 0
        self._names, self._start = list(reference.features), start
        self._counted: Sequence[Counts] = [emptied(one) for one in reference.features.values()]
        self._answers = emptied(reference.prediction) if reference.prediction else None
        self._sampler: Sampler | None = None
        self._tables: list[pa.Table] = []
        self._refused: list[str] = []

    def add(self, piece: Piece) -> None:
        self.rows += piece.rows
        self._counted = [summed(*pair) for pair in zip(self._counted, piece.counted, strict=True)]
        self._answers = summed(self._answers, piece.answers)
        self._sampler = self._sampler or Sampler(SAMPLE_ROWS, piece.sampled.schema, self._start)
        self._sampler.add(piece.sampled)
        self._refused += piece.refused
        if piece.predictions is not None:
            self._tables.append(piece.predictions)

    def finished(self) -> ScoredPart:
        features = dict(zip(self._names, self._counted, strict=True))
        sampler = self._sampler or Sampler(SAMPLE_ROWS, pa.schema([]))
        return ScoredPart(
            pa.concat_tables(self._tables) if self._tables else pa.table({}),
            Profile(self.rows, features, prediction=self._answers),
            sampler.sample,
            len(self._refused),
            self._refused[:MAX_EXAMPLES],
        )


@dataclass
class _State:
    """The state that the threads share. After a refused row, rows are checked but not scored."""

    stopped: bool = False


def use_one_thread() -> None:
    """Limit OpenMP and BLAS to one thread in this thread: batches are what runs in parallel."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _cut(read: Iterator[Batch]) -> Iterator[tuple[int, Batch]]:
    """Yield batches that end where a part ends, each with its first row."""
    start = 0
    for batch in read:
        taken = 0
        while taken < batch.rows:
            rows = min(batch.rows - taken, PART_ROWS - start % PART_ROWS)
            yield start, batch if rows == batch.rows else batch.slice(taken, rows)
            start, taken = start + rows, taken + rows


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([text]))


def _text_of_class(label: Any) -> str:
    """Return the class as a profile names it: a whole number as DuckDB writes a DOUBLE."""
    if isinstance(label, bool):
        return str(label).lower()
    return str(float(label)) if isinstance(label, int) else str(label)


def file_scorer(
    request: Request, model: Path, reference: Profile, settings: Settings, threads: int
) -> FileScorer:
    loaded = BatchModel(model)
    counted = [column_of(name, counts) for name, counts in reference.features.items()]
    wanted = Wanted(f"version {loaded.card.version}", loaded.card.columns, counted, request.key)
    null = request.on_error == "null"
    return FileScorer(loaded, wanted, reference, settings.data, null, threads)
