"""Wrong input: each exits with 2 and one line that says what is wrong, where, and what to do."""

from pathlib import Path

import pytest
import yaml

from ratchet import entry
from ratchet.errors import InputError
from tests.projects import REPOSITORY, new_project, run_step

pytestmark = pytest.mark.slow

SETTINGS = yaml.safe_load((REPOSITORY / "configs/project.yaml").read_text())


def one_line(done: object) -> str:
    assert done.returncode == 2, done  # type: ignore[attr-defined]
    message = [line for line in done.stderr.splitlines() if line]  # type: ignore[attr-defined]
    assert len(message) == 1, message
    return str(message[0])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "is empty; expected a header and rows"),
        ("a,species\n1,x\n2,y\n", "has no column 'target' (data.target)"),
        ("a,target\n1,x\n2,x\n", "has one class only, 'x'"),
        (
            "a,target\n1,x\n2,x\n3,y\n4,z\n5,x\n6,x\n7,x\n",
            "target 'target' has one row of class 'y'",
        ),
        ("a,b,target\n1,,x\n2,,x\n3,,y\n4,,y\n", "every value of column 'b' is missing"),
        ("a,a,target\n1,1,x\n2,2,x\n3,3,y\n4,5,y\n", "has two columns named 'a'"),
    ],
)
def test_a_table_that_no_model_can_be_trained_on_is_an_error_of_one_line(
    tmp_path: Path, table: str, says: str
):
    (tmp_path / "table.csv").write_text(table)
    data = SETTINGS["data"] | {"source": str(tmp_path / "table.csv")}
    project = new_project(tmp_path / "p", SETTINGS | {"data": data})
    assert says in one_line(run_step(project, "train", config="configs/models/baseline.yaml"))
    assert not (project / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.csv", "No file at 'missing.csv'"),
        ("irsi", "did you mean 'iris'?"),
        ("http://127.0.0.1:9/table.csv", "does not answer"),
    ],
)
def test_missing_data_is_an_error_of_one_line(tmp_path: Path, source: str, says: str):
    project = new_project(
        tmp_path / "p", SETTINGS | {"data": SETTINGS["data"] | {"source": source}}
    )
    assert says in one_line(run_step(project, "train", config="configs/models/baseline.yaml"))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            "estimator: LogisticRegression\nparam: {}\n",
            "unknown key 'param'; did you mean 'params'?",
        ),
        ("estimator: os.system\n", "estimator 'os.system' is not on the list"),
        ("estimator: LogisticRegression\nparams: {iter: 3}\n", "takes no parameter 'iter'"),
        ("estimator: LogisticRegression\nparams: {multi_class: auto}\n", "has removed it"),
        ("- estimator: LogisticRegression\n", "contains a list; expected a mapping"),
        ("", "is empty"),
    ],
)
def test_a_config_that_is_not_valid_is_an_error_of_one_line(tmp_path: Path, config: str, says: str):
    project = new_project(tmp_path / "p")
    (project / "one.yaml").write_text(config)
    assert says in one_line(run_step(project, "train", config="one.yaml"))
    assert not (project / "mlflow.db").exists()


def test_an_unknown_key_in_the_settings_is_an_error_with_the_nearest_key(tmp_path: Path):
    project = new_project(tmp_path / "p", SETTINGS | {"metrik": "f1"})
    message = one_line(run_step(project, "train", config="configs/models/baseline.yaml"))
    assert "unknown key 'metrik'; did you mean 'metric'?" in message


def test_a_run_that_does_not_exist_is_an_error_of_one_line(tmp_path: Path):
    project = new_project(tmp_path / "p")
    assert "The store has no run 'abc'" in one_line(run_step(project, "reproduce", run_id="abc"))


def test_a_folder_without_configs_is_an_error_of_one_line(tmp_path: Path):
    project = new_project(tmp_path / "p")
    (project / "empty").mkdir()
    assert "empty holds no model config" in one_line(run_step(project, "train", config="empty"))


def test_a_value_of_the_wrong_type_is_an_error_of_one_line():
    with pytest.raises(InputError, match="force=yes: expected true or false"):
        entry._convert("force", "yes", bool)
    with pytest.raises(InputError, match="jobs=two: expected a whole number"):
        entry._convert("jobs", "two", int)
