"""The steps and a tutorial's script with an `mlflow server`, over HTTP."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.projects import BASELINE, free_port, new_project, run, run_step, tracking_server

pytestmark = pytest.mark.slow

TUTORIAL = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mlflow
import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score
from sklearn.model_selection import train_test_split

mlflow.set_tracking_uri("http://localhost:PORT")
mlflow.set_experiment("iris-tutorial")

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)

with mlflow.start_run():
    model = LogisticRegression(solver="lbfgs", max_iter=1000, random_state=42)
    model.fit(X_train, y_train)
    y_pred = model.predict(X_test)

    mlflow.log_param("solver", "lbfgs")
    mlflow.log_param("max_iter", 1000)
    mlflow.log_metric("accuracy", accuracy_score(y_test, y_pred))
    mlflow.log_metric("f1", f1_score(y_test, y_pred, average="weighted"))
    mlflow.sklearn.log_model(model, "model")

    ConfusionMatrixDisplay.from_predictions(y_test, y_pred)
    plt.savefig("confusion_matrix.png")
    mlflow.log_artifact("confusion_matrix.png")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tracking_server(tmp_path_factory.mktemp("server")) as address:
        yield address


def test_a_tutorial_script_works_unchanged_and_its_artifacts_download(
    server: str, tmp_path: Path
) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text(TUTORIAL.replace("PORT", server.rsplit(":", 1)[1]))
    done = run([sys.executable, script.name], tmp_path)
    assert done.returncode == 0, done.stderr

    client = mlflow.MlflowClient(server, server)
    experiment = client.get_experiment_by_name("iris-tutorial")
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"solver": "lbfgs", "max_iter": "1000"}
    assert logged.data.metrics == {"accuracy": 1.0, "f1": 1.0}
    picture = Path(client.download_artifacts(logged.info.run_id, "confusion_matrix.png"))
    assert picture.read_bytes() == (tmp_path / "confusion_matrix.png").read_bytes()

    load = (
        "import mlflow.pyfunc, mlflow.sklearn; from sklearn.datasets import load_iris\n"
        f"uri = 'runs:/{logged.info.run_id}/model'; X = load_iris().data\n"
        "print((mlflow.pyfunc.load_model(uri).predict(X) =="
        " mlflow.sklearn.load_model(uri).predict(X)).all())"
    )
    loaded = run([sys.executable, "-c", load], tmp_path, MLFLOW_TRACKING_URI=server)
    assert loaded.stdout.strip() == "True", loaded.stderr


def test_the_steps_work_with_the_server_and_leave_no_local_store(
    server: str, tmp_path: Path
) -> None:
    project = new_project(tmp_path)
    env = {"MLFLOW_TRACKING_URI": server}
    for step, arguments in {"train": {"config": BASELINE}, "evaluate": {}, "history": {}}.items():
        done = run_step(project, step, env, **arguments)
        assert done.returncode == 0, done.stderr
    assert "gate: best of 1 by accuracy" in done.stdout
    client = mlflow.MlflowClient(server, server)
    assert client.get_model_version_by_alias("iris", "prod").version == "1"
    assert not (project / "mlflow.db").exists()
    assert not (project / "mlruns").exists()


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_server_that_is_down_is_an_error_of_one_line_within_seconds(
    scheme: str, tmp_path: Path
) -> None:
    port = free_port()
    project, env = new_project(tmp_path), {"MLFLOW_TRACKING_URI": f"{scheme}://localhost:{port}"}
    run_step(project, "history", env)  # the libraries are loaded once, and not part of the seconds
    started = time.monotonic()
    done = run_step(project, "train", env, config=BASELINE)
    assert time.monotonic() - started < 15
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert f"localhost:{port} does not answer" in done.stderr
    assert "make ui" in done.stderr
    assert "unset MLFLOW_TRACKING_URI" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["MLproject", "configs"]
