"""One scoring run, from the files to the finished parts, on this machine or on a cluster."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ratchet.data.formats import is_parquet
from ratchet.errors import InputError
from ratchet.profile.cluster import Cluster
from ratchet.profile.parts import rows_in
from ratchet.profile.profile import Profile, to_json
from ratchet.profile.reading import Reading
from ratchet.progress import bar
from ratchet.registry.registry import Version
from ratchet.scoring.file_scorer import FileScorer, file_scorer
from ratchet.scoring.job import MODEL
from ratchet.scoring.parts import Parts
from ratchet.scoring.request import Request
from ratchet.scoring.scored_part import PART_ROWS
from ratchet.settings import Settings

MOST_THREADS = 8  # each holds a few batches in memory


@dataclass(frozen=True)
class Outcome:
    request: Request
    version: Version
    form: str  # the form of the model, or why it is the pipeline
    files: int
    rows: int
    kept: int  # rows that a stopped run had scored before
    refused: int
    examples: Sequence[str]
    classes: dict[str, int]
    reading: Reading


def score(
    request: Request,
    version: Version,
    files: Sequence[str],
    model: Path,
    reference: Profile,
    settings: Settings,
    parts: Parts,
) -> Outcome:
    scorer = file_scorer(request, model, reference, settings, _threads())
    kept = _finished_rows(parts, len(files))
    cluster = Cluster("score", settings.score.engine, settings.score.address)
    if cluster.engine == "duckdb":
        with bar(_total(files), "score") as advance:
            advance(kept)
            score_files(files, scorer, parts, advance)
    else:
        cluster.require(request.data, "data")
        _on_cluster(cluster, request, model, reference, settings, parts)
    refused, examples = parts.refused()
    if refused and not scorer.null_if_refused:
        shutil.rmtree(parts.folder)
        raise InputError(_refusal(request, refused, examples))
    reading, form = parts.reading(request.data), scorer.model.path
    why = scorer.model.why_not_faster
    return Outcome(
        request,
        version,
        f"{form} ({why})" if why else form,
        len(files),
        reading.profile.rows,
        kept,
        refused,
        examples,
        parts.classes(),
        reading,
    )


def score_files(
    files: Sequence[str], scorer: FileScorer, parts: Parts, advance: Callable[[int], None]
) -> None:
    """Score the files one after the other, and keep each part as soon as it is finished."""
    before = 0
    for file, name in enumerate(files):
        rows = parts.rows_of(file)
        if rows is None:
            number = parts.finished(file)
            rows = number * PART_ROWS
            for part in scorer.parts(name, before, number, len(files) > 1):
                parts.write(file, number, part)
                advance(part.rows)
                rows, number = rows + part.rows, number + 1
            parts.finish_file(file, rows)
        before += rows


def _on_cluster(
    cluster: Cluster,
    request: Request,
    model: Path,
    reference: Profile,
    settings: Settings,
    parts: Parts,
) -> None:
    (parts.folder / "job.json").write_text(json.dumps(asdict(request)))
    (parts.folder / "reference.json").write_text(to_json(reference))
    for file in model.iterdir():
        shutil.copyfile(file, parts.folder / f"{MODEL}.{file.name}")
    cluster.run("ratchet.scoring.job:score", parts.folder.absolute(), settings, request.data)


def _threads() -> int:
    return min(os.cpu_count() or 1, MOST_THREADS)


def _finished_rows(parts: Parts, files: int) -> int:
    return sum(
        PART_ROWS * parts.finished(file) if (rows := parts.rows_of(file)) is None else rows
        for file in range(files)
    )


def _total(files: Sequence[str]) -> int | None:
    """Return the number of rows if the files say it."""
    if not all(map(is_parquet, files)):
        return None
    rows = rows_in(files, "data")
    return None if isinstance(rows, InputError) else sum(rows)


def _refusal(request: Request, refused: int, examples: Sequence[str]) -> str:
    return (
        f"{request.data}: {refused:,} rows do not fit the model's columns, and nothing was written."
        f" The first: {'; '.join(examples)}. Correct them, or leave their prediction empty:"
        " -P on_error=null"
    )
