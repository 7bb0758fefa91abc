"""The step score: predictions for whole files, written whole or not at all, and continued."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ratchet.profile.profile import to_json
from ratchet.profile.reading import load, read_current
from ratchet.settings import read_settings
from tests.projects import environment, new_project, run_python, run_step
from tests.tables import mixed_frame, write

pytestmark = pytest.mark.slow

ROWS = 700_000  # two whole parts and a third one
PART = 262_144
CONFIG = {"estimator": "LGBMClassifier", "params": {"n_estimators": 5}}
LABELS = ("leaves", "stays", "upgrades")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of a mixed table with a prod, and files to score."""
    data = {"source": "table.parquet", "target": "outcome", "kinds": {"branch": "categorical"}}
    project = new_project(tmp_path_factory.mktemp("scoring"), {"model": "mixed", "data": data})
    write(mixed_frame(400, seed=1), project / "table.parquet")
    (project / "configs/models/lightgbm.yaml").write_text(json.dumps(CONFIG))
    config = {"config": "configs/models/lightgbm.yaml"}
    for step, arguments in (("train", config), ("evaluate", {"force": "true"})):
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    rows = mixed_frame(300, seed=2).drop(columns="outcome").assign(id=range(1000, 1300))
    write(rows, project / "today.parquet")
    write(rows, project / "today.csv")
    for number in range(3):
        part = rows.iloc[100 * number : 100 * (number + 1)]
        (project / "days").mkdir(exist_ok=True)
        write(part, project / f"days/{number}.parquet")
    return project


def score(project: Path, **arguments: str) -> subprocess.CompletedProcess[str]:
    for file in project.glob("out.*"):
        file.unlink()
    return run_step(
        project, "score", **({"data": "today.parquet", "out": "out.parquet"} | arguments)
    )


def report(project: Path) -> dict[str, Any]:
    return dict(json.loads((project / "reports/score/score.json").read_text()))


def expected(project: Path) -> pd.DataFrame:
    """Return what the version's own pipeline answers, asked by MLflow."""
    script = """
import json, mlflow, pandas as pd, sys
from ratchet.model import model_file
from pathlib import Path
from ratchet.columns import as_kind
model = model_file.load(Path(mlflow.artifacts.download_artifacts("models:/mixed@prod")))
kinds = {"age": "numeric", "visits": "numeric", "city": "categorical", "branch": "categorical",
    "member": "boolean", "consent": "boolean", "joined": "date", "last_seen": "date",
    "newsletter": "categorical"}
table = pd.read_parquet("today.parquet")
frame = pd.DataFrame({name: as_kind(table[name], kind) for name, kind in kinds.items()})
answers = pd.DataFrame(model.predict_proba(frame), columns=list(model.classes_))
answers.assign(prediction=model.predict(frame)).to_parquet("expected.parquet")
"""
    done = run_python(["-c", script], project)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(project / "expected.parquet")


def test_a_parquet_file_gets_the_answers_of_the_pipeline_with_key_and_version(project: Path):
    done = score(project, key="id")
    assert done.returncode == 0, done.stderr
    scored, truth = pd.read_parquet(project / "out.parquet"), expected(project)
    probabilities = [f"probability_{label}" for label in LABELS]
    assert list(scored) == ["id", "prediction", *probabilities, "model_version"]
    assert scored["id"].tolist() == list(range(1000, 1300))
    assert scored["prediction"].tolist() == truth["prediction"].tolist()
    assert np.abs(scored[probabilities].to_numpy() - truth[list(LABELS)].to_numpy()).max() < 1e-9
    assert set(scored["model_version"]) == {"1"}
    assert "out.parquet has 300 rows of today.parquet, scored by v1 (lightgbm)" in done.stdout
    assert report(project)["form"] == "direct, booster"
    assert list(project.glob(".out*")) == []


def test_csv_a_glob_and_an_address_give_the_same_predictions(project: Path):
    score(project)
    scored = pd.read_parquet(project / "out.parquet")
    assert scored["row"].tolist() == list(range(300))
    for data in ("today.csv", f"file://{project}/days/*.parquet"):
        done = score(project, data=data, out="out.csv")
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(project / "out.csv", dtype={"model_version": str})
        pd.testing.assert_frame_equal(
            table, scored.astype({"model_version": "str"}), check_dtype=False
        )


def test_an_output_may_be_an_address(project: Path):
    out = f"file://{project}/elsewhere.parquet"
    done = score(project, out=out)
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(project / "elsewhere.parquet").num_rows == 300
    assert score(project, out=out).stderr == (
        f"score: {out} (out) exists; delete it, or choose another name\n"
    )


def test_the_profile_of_the_scored_rows_is_kept_for_drift(project: Path):
    done = score(project)
    assert done.returncode == 0, done.stderr
    kept = max(project.glob("mlruns/*/*/artifacts/profile"), key=lambda path: path.stat().st_mtime)
    reference = load(
        min(project.glob("mlruns/*/*/artifacts/profile"), key=lambda p: p.stat().st_mtime)
    )
    settings = read_settings(project / "configs/project.yaml").data
    read, _ = read_current(str(project / "today.parquet"), settings, reference.profile)
    reading = load(kept)
    assert (
        json.loads(to_json(reading.profile))["features"]
        == json.loads(to_json(read.profile))["features"]
    )
    assert reading.profile.prediction is not None
    assert reading.profile.prediction.rows == 300
    assert reading.sample.equals(read.sample)
    checked = run_step(project, "drift", current="scored", reference="prod")
    assert checked.returncode == 0, checked.stderr
    assert "the scored batches" in checked.stdout


def broken(project: Path) -> Path:
    rows = pd.read_parquet(project / "today.parquet").astype({"age": object, "joined": object})
    rows.loc[7, "age"] = "thirty"
    rows.loc[[11, 12], "age"] = ["1e39", "-inf"]
    rows.loc[12, "joined"] = "soon"
    rows.astype({"age": "str", "joined": "str"}).replace({"nan": None}).to_csv(
        project / "broken.csv", index=False
    )
    return project / "broken.csv"


def test_rows_that_do_not_fit_are_counted_and_named_and_nothing_is_written(project: Path):
    broken(project)
    done = score(project, data="broken.csv")
    assert done.returncode == 2
    assert done.stderr == (
        "score: broken.csv: 3 rows do not fit the model's columns, and nothing was written. The"
        " first: row 7: age is 'thirty'; expected a number between -3.4e+38 and 3.4e+38; row 11:"
        " age is '1e+39'; expected a number between -3.4e+38 and 3.4e+38; row 12: joined is"
        " 'soon'; expected a date or time. Correct them, or leave their prediction empty:"
        " -P on_error=null\n"
    )
    assert not (project / "out.parquet").exists()
    assert list(project.glob(".out*")) == []


def test_with_null_such_rows_have_no_prediction_and_a_reason(project: Path):
    broken(project)
    done = score(project, data="broken.csv", on_error="null")
    assert done.returncode == 0, done.stderr
    scored = pd.read_parquet(project / "out.parquet")
    assert scored["row"][scored["prediction"].isna()].tolist() == [7, 11, 12]
    assert scored["probability_stays"].isna().sum() == 3
    assert scored["refused"][12] == "joined is 'soon'; expected a date or time"
    assert report(project)["refused"] == 3
    score(project)
    others = scored.drop(index=[7, 11, 12])["prediction"]
    assert others.equals(
        pd.read_parquet(project / "out.parquet")["prediction"].drop(index=[7, 11, 12])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "none/*.parquet"}, r"No file at 'none/*.parquet' (data); is the path right?"),
        ({"data": "table.parquet", "key": "idd"}, "table.parquet has no column 'idd' (key)"),
        ({"data": "narrow.parquet"}, "narrow.parquet has no column 'age', which version 1 needs"),
        ({"data": "empty.parquet"}, "empty.parquet (data) has no rows; expected some to score"),
        ({"out": "out.txt"}, "out.txt (out) is neither .parquet nor .csv; change its name"),
        ({"out": "no/out.csv"}, "no (out) is not a folder; create it"),
        ({"out": "today.csv"}, "today.csv (out) exists; delete it, or choose another name"),
        ({"version": "9"}, "Model 'mixed' has no version and no alias '9'."),
        ({"on_error": "skip"}, "on_error=skip: "),
    ],
)
def test_what_cannot_be_scored_is_one_line_and_nothing_is_written(
    project: Path, arguments: dict[str, str], message: str
):
    frame = pd.read_parquet(project / "today.parquet")
    frame.drop(columns=["age", "city"]).to_parquet(project / "narrow.parquet")
    frame.iloc[:0].to_parquet(project / "empty.parquet")
    files = {path.name for path in project.iterdir()} - {"out.parquet", "out.csv"}
    done = score(project, **arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"score: {message}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in project.iterdir()} == files


def large(project: Path) -> Path:
    """Write a file of three parts: the rows of the small one, repeated."""
    file = project / "large.parquet"
    if not file.exists():
        duckdb.execute(
            f"COPY (SELECT t.* FROM '{project}/today.parquet' t, range({ROWS // 300 + 1})"
            f" LIMIT {ROWS}) TO '{file}' (FORMAT parquet)"
        )
    return file


DYING = """
import os, runpy, signal, sys
from ratchet.scoring.parts import Parts
write = Parts.write
def write_and_die(self, file, number, part):
    write(self, file, number, part)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
Parts.write = write_and_die
sys.argv = "score --data large.parquet --out out.parquet --key id".split()
runpy.run_module("steps.score", run_name="__main__", alter_sys=True)
"""


def test_a_killed_run_continues_and_writes_the_same_bytes(project: Path):
    large(project)
    assert score(project, data="large.parquet", key="id").returncode == 0
    whole = (project / "out.parquet").read_bytes()
    (project / "out.parquet").unlink()
    assert run_python(["-c", DYING], project).returncode == -9
    assert not (project / "out.parquet").exists()
    done = score(project, data="large.parquet", key="id")
    assert done.returncode == 0, done.stderr
    assert report(project)["rows_of_a_stopped_run"] == 2 * PART
    assert report(project)["rows"] == ROWS
    assert (project / "out.parquet").read_bytes() == whole
    assert list(project.glob(".out*")) == []


def test_a_stopped_run_with_another_request_is_not_continued(project: Path):
    large(project)
    (project / "out.parquet").unlink(missing_ok=True)
    assert run_python(["-c", DYING], project).returncode == -9
    done = score(project, data="large.parquet")
    assert done.returncode == 0, done.stderr
    assert report(project)["rows_of_a_stopped_run"] == 0


def test_a_full_disk_is_one_line_and_the_run_continues_when_there_is_room(
    project: Path, tmp_path: Path
):
    """The disk is a small tmpfs in a mount namespace that ends with the process."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    large(project)
    for file in project.glob("out.*"):
        file.unlink()
    command = f"{sys.executable} -m steps.score --data large.parquet"
    mounted = (
        f"mount -t tmpfs -o size=4m tmpfs {tmp_path};"
        f" {command} --out {tmp_path}/out.parquet; echo code $? && ls {tmp_path};"
        f" mount -o remount,size=99m {tmp_path} && {command} --out {tmp_path}/out.parquet"
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted],
        cwd=project,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stderr == "score: a file cannot be written: the disk is full; free some space\n"
    assert "code 2\n" in done.stdout
    assert "out.parquet has 700,000 rows of large.parquet" in done.stdout
    assert report(project)["rows_of_a_stopped_run"] > 0


def test_two_runs_do_not_write_one_output(project: Path):
    holding = """
import fcntl, os, runpy, sys
os.makedirs(".out.parquet.parts", exist_ok=True)
fcntl.flock(os.open(".out.parquet.parts", os.O_RDONLY), fcntl.LOCK_EX)
sys.argv = "score --data today.parquet --out out.parquet".split()
runpy.run_module("steps.score", run_name="__main__", alter_sys=True)
"""
    for file in project.glob("out.*"):
        file.unlink()
    done = run_python(["-c", holding], project)
    assert done.returncode == 2
    assert done.stderr == (
        "score: Another run is writing out.parquet (out). Wait for it, or choose another name\n"
    )
