"""The job of a scoring run on a cluster: each task scores one file and returns its parts."""

import json
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.data.files import listed_files
from ratchet.errors import InputError
from ratchet.profile.job import TASKS_PER_CORE, Map, checked, chunks
from ratchet.profile.parts import rows_in
from ratchet.profile.profile import from_json
from ratchet.scoring.file_scorer import FileScorer, file_scorer
from ratchet.scoring.parts import Parts
from ratchet.scoring.request import Request
from ratchet.scoring.scored_part import ScoredPart
from ratchet.settings import Settings

MODEL = "model"  # begins the names of the version's files among those of the job
Inputs = tuple[tuple[str, bytes], ...]  # the files that a task needs besides the data
FileStart = tuple[int, str, int]  # a file's number, its name, and the rows in the files before it
FILES_PER_CORE = 1  # of one round; the results of a round are in memory together


def score(folder: Path, source: str, mapped: Map, cores: int) -> None:
    inputs = tuple((file.name, file.read_bytes()) for file in _inputs(folder))
    files, parts = listed_files(source, "data"), Parts(folder)
    tasks = TASKS_PER_CORE * max(cores, 1)
    footers = mapped(partial(rows_in, parameter="data"), chunks(files, tasks))
    rows = [count for part in footers for count in checked(part)]
    starts = accumulate(rows, initial=0)
    numbered = zip(range(len(files)), files, starts, strict=False)
    open_files = [one for one in numbered if parts.rows_of(one[0]) is None]
    task = partial(score_file, inputs=inputs, several=len(files) > 1)
    for group in chunks(open_files, -(-len(open_files) // (FILES_PER_CORE * max(cores, 1))) or 1):
        for (file, _, _), scored in zip(group, mapped(task, group), strict=True):
            for number, part in enumerate(checked(scored)):
                parts.write(file, number, part)
            parts.finish_file(file, rows[file])
        print(f"{group[-1][0] + 1} of {len(files)} files are scored", flush=True)


def _inputs(folder: Path) -> list[Path]:
    names = ("job.json", "settings.json", "reference.json")
    return [*(folder / name for name in names), *sorted(folder.glob(f"{MODEL}.*"))]


def score_file(one: FileStart, inputs: Inputs, several: bool) -> list[ScoredPart] | InputError:
    """Score a file on a worker; return an input error, because a cluster wraps what is raised."""
    _, file, before = one
    try:
        return list(_scorer(inputs).parts(file, before, one_of_several=several))
    except InputError as error:
        return error


@cache
def _scorer(inputs: Inputs) -> FileScorer:
    """Load the model once on each worker."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in inputs:
            (folder / file.removeprefix(f"{MODEL}.")).write_bytes(content)
        request = Request(**json.loads((folder / "job.json").read_text()))
        settings = Settings.model_validate_json((folder / "settings.json").read_text())
        reference = from_json((folder / "reference.json").read_text(), "the reference")
        return file_scorer(request, folder, reference, settings, threads=1)
