"""A Bento of prod and staging: what it holds, and that the same versions give the same one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.packaging.bento import SERVICE, modules
from ratchet.serving.served_model import copy_from_mlflow, read_card
from tests.projects import REPOSITORY, environment, new_project, run_step
from tests.services import iris_project

IMPORTED = """
import sys
import ratchet.serving.routes, bentos.service, ratchet.serving.served_model
print(sorted({"duckdb", "matplotlib", "mlflow", "pandas"} & set(sys.modules)))
"""


def test_what_serving_imports_knows_neither_mlflow_nor_training() -> None:
    files = modules(SERVICE)
    assert {"ratchet/serving/routes.py", "ratchet/serving/served_model.py"} <= files
    assert "ratchet/serving/following.py" not in files
    assert [file for file in files if file.startswith("ratchet/registry")] == []
    training = [file for file in files if file.startswith(("ratchet/training", "ratchet/model/"))]
    assert sorted(training) == ["ratchet/model/__init__.py", "ratchet/model/model_file.py"]
    texts = {file: (REPOSITORY / file).read_text() for file in files}
    forbidden = re.compile(r"^\s*(import|from) (mlflow|pycaret)", re.M)
    assert [file for file, text in texts.items() if forbidden.search(text)] == []


def test_a_worker_loads_no_mlflow_and_pandas_only_for_a_model_that_needs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=REPOSITORY, env=environment(), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_missing_date_in_the_example_is_missing_and_a_text_stays_a_text(tmp_path: Path) -> None:
    columns = [{"name": "left", "type": "datetime"}, {"name": "said", "type": "string"}]
    (tmp_path / "MLmodel").write_text(json.dumps({"signature": {"inputs": json.dumps(columns)}}))
    example = {"columns": ["said", "left"], "data": [["NaT", "NaT"], ["", "2024-03-01T00:00:00"]]}
    (tmp_path / "input_example.json").write_text(json.dumps(example))
    (tmp_path / "model.skops").write_bytes(b"")
    copy_from_mlflow(tmp_path, "m", "1", "baseline", tmp_path / "made")
    assert read_card(tmp_path / "made").example == ((None, "NaT"), ("2024-03-01T00:00:00", ""))


def test_without_prod_there_is_nothing_to_pack(tmp_path: Path) -> None:
    done = run_step(new_project(tmp_path), "package", smoke="false")
    assert done.returncode == 2
    assert done.stderr.startswith("package: No alias 'prod' on model 'iris'.")


@pytest.mark.slow
def test_a_bento_serves_both_arms_from_its_own_lock_and_is_built_the_same_again(
    tmp_path: Path,
) -> None:
    project = iris_project(tmp_path / "project")
    folders = []
    for name, smoke in (("one", "true"), ("two", "false")):
        done = run_step(project, "package", {"BENTOML_HOME": str(tmp_path / name)}, smoke=smoke)
        assert done.returncode == 0, done.stderr
        report = json.loads((project / "reports/package/package.json").read_text())
        assert report["was_there"] is False
        folders.append(Path(report["path"]))
        if smoke == "true":
            answers = report["answers"]
            assert (answers["A"]["variant"], answers["A"]["model_version"]) == ("A", "1")
            assert (answers["B"]["variant"], answers["B"]["model_version"]) == ("B", "2")
    assert folders[0].name == folders[1].name
    assert contents(folders[0]) == contents(folders[1])
    for name in ("one", "two"):
        assert len(list((tmp_path / name / "models").rglob("model.skops"))) == 2
    again = run_step(project, "package", {"BENTOML_HOME": str(tmp_path / "one")}, smoke="false")
    assert "was there already" in again.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Of every file; without the times at which the Bento and its models were put there."""
    return {
        str(file.relative_to(folder)): re.sub(rb"creation_time: .*", b"", file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
