"""The step drift with a real store: findings, reports, errors, and the page in a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from ratchet.data.source import read
from ratchet.predictions.prediction_log import PredictionLog
from ratchet.predictions.record import json_text
from ratchet.settings import DataSettings
from tests.chat import chat
from tests.projects import BASELINE, environment, new_project, run_step
from tests.records import a_record

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
SHIFTED = ["petal_width", "sepal_width"]
KEYS = {"verdict", "rows", "features", "dependence", "joint_shift", "target", "limits"}
OF_A_FEATURE = {
    *("kind", "psi", "ks", "p_value", "p_value_of_no_change"),
    *("drifted", "changed", "missing", "unseen"),
}


def iris(shift: float = 0.0) -> pd.DataFrame:
    table = read(DataSettings(source="iris", target="target")).drop(columns="target")
    frame = pd.concat([table] * 2, ignore_index=True)
    moved = {name: frame[name] + shift * frame[name].std() for name in SHIFTED}
    return frame.assign(**moved)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an Iris project with a prod, unchanged data, and data with two shifted columns."""
    project = new_project(tmp_path_factory.mktemp("line"))
    for step, arguments in (("train", {"config": BASELINE}), ("evaluate", {})):
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    iris().to_csv(project / "same.csv", index=False)
    iris(shift=1.5).to_parquet(project / "shifted.parquet")
    return project


@pytest.fixture
def project(line: Path) -> Iterator[Path]:
    """Restore the store and the settings, so that no test counts another test's checks."""
    store = line / "mlflow.db"
    kept = store.read_bytes()
    shipped = (line / "configs/project.yaml").read_text()
    yield line
    (line / "configs/project.yaml").write_text(shipped)
    store.write_bytes(kept)


def drift(
    project: Path, current: str, days: str = "0", **env: str
) -> subprocess.CompletedProcess[str]:
    return run_step(project, "drift", env=env, current=current, reference="prod", days=days)


def content(project: Path) -> dict[str, object]:
    return dict(json.loads((project / "reports/drift/drift.json").read_text()))


def limit(project: Path, **limits: object) -> None:
    file = project / "configs/project.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(settings | {"drift": limits}))


def test_two_shifted_columns_of_iris_are_named_and_no_others(project: Path, tmp_path: Path):
    done = drift(
        project,
        "shifted.parquet",
        GITHUB_OUTPUT=str(tmp_path / "out"),
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary"),
    )
    assert done.returncode == 0, done.stderr
    report = content(project)
    assert report.keys() >= KEYS
    assert report["verdict"] == "drifted"
    assert report["rows"] == {"reference": 120, "current": 300}
    features = report["features"]
    assert sorted(name for name, one in features.items() if one["drifted"]) == SHIFTED
    assert all(one.keys() == OF_A_FEATURE for one in features.values())
    assert report["dependence"].keys() >= {"auc", "p_value", "drifted"}
    assert (tmp_path / "out").read_text().startswith("drifted=true\nverdict=drifted\nreport<<")
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("## Drift\n\n**drifted**: changed: ")
    assert "about one check in 100 says drift" in summary
    assert "drifted: changed: " in done.stdout
    first = next(line for line in done.stdout.splitlines() if "numeric" in line)
    assert first.split()[0] in SHIFTED


def test_the_run_has_the_report_and_metrics_per_feature(project: Path):
    assert drift(project, "same.csv").returncode == 0
    assert content(project)["verdict"] == "stable"
    store = f"sqlite:///{project}/mlflow.db"
    client = MlflowClient(store, store)
    run = client.search_runs(["0"], "tags.step = 'drift'", max_results=1)[0]
    assert run.data.tags["verdict"] == "stable"
    assert run.data.metrics["drifted_features"] == 0
    assert {f"{s}/{n}" for s in ("psi", "ks") for n in iris()} <= run.data.metrics.keys()
    names = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "report")}
    assert names == {"drift.json", "drift.md", "drift.html"}
    done = run_step(project, "site")
    assert done.returncode == 0, done.stderr
    site = (project / "site" / "index.html").read_text()
    assert "<b>stable</b>" in site
    assert [name for name in iris() if f"<td>{name}</td>" not in site] == []


def test_the_settings_needed_window_and_cooldown_decide_on_retraining(
    project: Path, tmp_path: Path
):
    limit(project, needed=2, window=3, cooldown_hours=24)
    out = tmp_path / "out"
    verdicts = []
    with chat() as (webhook, received):
        for current in ("shifted.parquet", "same.csv", "shifted.parquet", "shifted.parquet"):
            env = {"GITHUB_OUTPUT": str(out), "RATCHET_WEBHOOK_URL": webhook}
            assert drift(project, current, **env).returncode == 0
            report = content(project)
            verdicts.append((report["finding"], report["verdict"], report["retrain"]))
    assert verdicts == [
        ("drifted", "stable", False),
        ("stable", "stable", False),
        ("drifted", "drifted", True),
        ("drifted", "drifted", False),
    ]
    assert len(received) == 1  # when it is time to retrain
    assert received[0]["text"].startswith("The data of model 'iris' drifted: changed: ")
    outputs = [line for line in out.read_text().splitlines() if line.startswith("drifted=")]
    assert outputs == [f"drifted={word}" for word in ["false", "false", "true", "false"]]
    assert "2 of the last 3 checks found drift" in report["reason"]
    assert "the last retraining was recent, the next is possible in 24.0 hours" in report["reason"]


def test_the_prediction_log_is_compared_with_its_answers_and_labels(project: Path):
    url = f"sqlite:///{project}/predictions.db"
    log = PredictionLog(url)
    rows = iris(shift=1.5).to_dict("records")
    names = np.repeat(["setosa", "versicolor", "virginica"], 50)
    at = time.time() - 60
    log.append_now(
        [
            a_record(
                f"user {place}",
                at,
                features=json_text(row),
                prediction=json_text("virginica"),
                label=json_text(str(np.resize(names, 300)[place])),
                label_time=at,
            )
            for place, row in enumerate(rows)
        ]
    )
    log.close()
    done = drift(project, "log", RATCHET_LOG_URL=url)
    assert done.returncode == 0, done.stderr
    report = content(project)
    assert sorted(n for n, one in report["features"].items() if one["drifted"]) == SHIFTED
    assert report["accuracy"]["current"] == pytest.approx(1 / 3)
    assert report["accuracy"]["reference"] > 0.8
    assert report["target"]["drifted"] is False
    recent = drift(project, "log", RATCHET_LOG_URL=url, days="0.0001")  # 9 seconds
    assert recent.returncode == 2
    assert "holds no request to model 'iris' of the last 0.0001 days" in recent.stderr
    endless = drift(project, "log", RATCHET_LOG_URL=url, days="inf")
    assert endless.returncode == 2
    assert "days=inf: expected a positive number, or 0 for drift.log_days" in endless.stderr


@pytest.mark.parametrize(
    ("current", "reference", "says"),
    [
        ("absent.csv", "prod", "No file at 'absent.csv' (current)"),
        ("empty.csv", "prod", "empty.csv is empty; expected a header and rows"),
        ("headed.csv", "prod", "headed.csv has no rows"),
        ("broken.parquet", "prod", "cannot be read as Parquet"),
        ("other.csv", "prod", "has no column in common with the reference"),
        ("same.csv", "staging", "No alias 'staging' on model 'iris'"),
        ("same.csv", "7", "Model 'iris' has no version and no alias '7'"),
        ("same.csv", "absent.csv", "No file at 'absent.csv' (reference)"),
        ("log", "prod", "sqlite:///nowhere.db: no such file"),
    ],
)
def test_bad_input_is_an_error_of_one_line(project: Path, current: str, reference: str, says: str):
    texts = {
        "empty.csv": "",
        "headed.csv": ",".join(iris()) + "\n",
        "other.csv": "a,b\n1,2\n",
        "broken.parquet": "PAR1 and no more",
    }
    for name, text in texts.items():
        (project / name).write_text(text)
    done = run_step(
        project,
        "drift",
        env={"RATCHET_LOG_URL": "sqlite:///nowhere.db"},
        current=current,
        reference=reference,
    )
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr
    assert not (project / "nowhere.db").exists()


def test_the_error_names_the_next_steps_if_there_is_no_prod(tmp_path: Path):
    iris().to_csv(tmp_path / "same.csv", index=False)
    done = drift(new_project(tmp_path / "p"), str(tmp_path / "same.csv"))
    assert done.returncode == 2
    assert (
        "No alias 'prod' on model 'iris'. Train a model and evaluate it first: mlflow run"
        in done.stderr
    )


def test_a_version_without_a_profile_is_an_error(project: Path):
    folder = next(project.glob("mlruns/0/*/artifacts/profile"))
    aside = folder.rename(folder.with_name("aside"))
    done = drift(project, "same.csv")
    aside.rename(folder)
    assert done.returncode == 2
    assert "v1 (baseline) has no profile" in done.stderr
    assert "-e train -P force=true" in done.stderr


def test_an_unknown_name_in_drift_features_is_an_error(project: Path):
    limit(project, features=["petal_widht"])
    done = drift(project, "same.csv")
    assert "'petal_widht' (drift.features) is not a feature of the model" in done.stderr
    assert "did you mean 'petal_width'" in done.stderr


def test_a_kill_at_any_moment_leaves_complete_reports(project: Path):
    command = [sys.executable, "-m", "steps.drift", "--current", "same.csv", "--reference", "prod"]
    started = time.monotonic()
    assert drift(project, "shifted.parquet").returncode == 0
    whole = time.monotonic() - started
    for part in (0.5, 0.8, 0.9, 0.95, 1.0):
        one = subprocess.Popen(
            command,
            cwd=project,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(part * whole)
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        assert content(project)["verdict"] in ("drifted", "stable")
        files = sorted(file.name for file in (project / "reports/drift").iterdir())
        assert files == ["drift.html", "drift.json", "drift.md"]
        assert (project / "reports/drift/drift.html").read_text().rstrip().endswith("</html>")


def dom(page: Path) -> str:
    """Return the page's DOM in a browser without a network; fail if the browser logs an error."""
    assert BROWSER
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={page.parent / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt-get install chromium")
def test_the_page_opens_in_a_browser_offline_and_sorts(project: Path, tmp_path: Path):
    assert drift(project, "shifted.parquet").returncode == 0
    text = (project / "reports/drift/drift.html").read_text()
    assert not re.search(r"(?:src|href)\s*=|https?:", text)
    page = tmp_path / "page.html"
    page.write_text(text)
    html = dom(page)
    assert re.search(r'<strong id="verdict">drifted</strong>: changed: ', html)
    assert sorted(features_shown(html)[:2]) == SHIFTED
    clicks = "".join(
        f"document.querySelectorAll('#features th button')[{column}].click();" for column in (0, 0)
    )
    page.write_text(text.replace("</body>", f"<script>{clicks}</script></body>"))
    assert features_shown(dom(page)) == sorted(iris())


def features_shown(html: str) -> list[str]:
    table = html.split('id="features"')[1]
    return re.findall(r'<td class="word">(\w+)</td><td class="word">numeric', table)
