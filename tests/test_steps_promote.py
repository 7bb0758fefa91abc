"""The step promote with a real registry and log, called as a user or a schedule calls it."""

import html
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from ratchet.predictions.prediction_log import PredictionLog
from ratchet.registry.registry import Overtaken, Registry
from tests.projects import BASELINE, environment, new_project, run, run_python, run_step
from tests.traffic import records, rows_of_test

pytestmark = pytest.mark.slow

NEIGHBOURS = "configs/models/neighbours.json"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project in which v1 is prod and v2 is a version without an alias."""
    project = new_project(tmp_path_factory.mktemp("line"))
    for config in (BASELINE, NEIGHBOURS):
        done = run_step(project, "train", config=config)
        assert done.returncode == 0, done.stderr
    registry_of(project).move({"prod": "1"}, "the first", "none")
    return project


def client_of(project: Path) -> MlflowClient:
    store = f"sqlite:///{project}/mlflow.db"
    return MlflowClient(store, store)


def registry_of(project: Path) -> Registry:
    return Registry(client_of(project), "iris")


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """Copy the project; v1 is prod, v2 is staging, and the log and the store are the test's own."""
    folder = tmp_path / "project"
    shutil.copytree(trained, folder)
    registry_of(folder).move({"staging": "2"}, "gate: best of 1", "none")
    return folder


def write_log(
    project: Path, user: str = "", version: str = "", seconds_ago: float = 5.0, **options: Any
) -> None:
    """Write a log whose last request was a moment ago; with `version`, that one answered all."""
    rows = rows_of_test(**options)
    shift = time.time() - float(rows["time"].max()) - seconds_ago
    rows = rows.assign(time=rows["time"] + shift, label_time=rows["label_time"] + shift)
    rows = rows.assign(user_id=user + rows["user_id"])
    if version:
        rows = rows.assign(arm="A", assigned_arm="A")
    log = PredictionLog(f"sqlite:///{project}/predictions.db")
    log.append_now(records(rows, prod=version or "1"))
    log.close()


def report_of(project: Path) -> dict[str, Any]:
    text = (project / "reports/promote/promote.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    return dict(json.loads(text))


def promote(project: Path, **arguments: str) -> dict[str, Any]:
    done = run_step(project, "promote", **arguments)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return report_of(project)


def test_a_better_staging_becomes_prod_and_one_command_takes_it_back(project: Path):
    write_log(project, users=2000, prod=0.85, staging=0.95, seed=1)
    report = promote(project)
    assert (report["decision"], report["promoted"]) == ("promote", True)
    assert registry_of(project).aliases() == {"prod": "2", "previous": "1"}
    assert report["watch"] is None
    worse: dict[str, Any] = {"users": 600, "prod": 0.7, "staging": 0.7, "seed": 3, "user": "later"}
    write_log(project, **worse, version="2", seconds_ago=0.0, seconds_apart=1e-4)
    outputs = project / "outputs.txt"
    done = run_step(project, "promote", env={"GITHUB_OUTPUT": str(outputs)})
    assert 'A rollback is proposed: make rollback REASON="worse than its test said".' in done.stdout
    assert "rollback_proposed=true" in outputs.read_text()
    assert report_of(project)["watch"]["proposes_rollback"] is True
    back = run_step(project, "promote", action="rollback", reason="customers complain")
    assert back.returncode == 0, back.stderr
    registry = registry_of(project)
    assert registry.aliases() == {"prod": "1"}
    assert [line.reason.split(":")[0] for line in registry.ledger()] == [
        "the first",
        "gate",
        "promote",
        "rollback by hand",
    ]
    bad = registry.version("2")
    assert (bad.verdict, bad.tags["decision"]) == ("rejected", "rolled back")
    assert bad.tags["stage"] == "Archived"
    again = run_step(project, "evaluate", version="2")
    assert again.returncode == 2
    assert "v2 (neighbours) was rejected (rollback by hand: customers complain)" in again.stderr
    output = run_step(project, "history").stdout
    assert "rollback by hand: customers complain" in output
    nowhere = run_step(project, "promote", action="rollback")
    assert (nowhere.returncode, "nothing to go back to" in nowhere.stderr) == (2, True)


def test_the_report_has_everything_that_the_decision_used(project: Path):
    write_log(project, users=500, prod=0.9, staging=0.92, seed=2)
    summary = project / "summary.md"
    outputs = project / "outputs.txt"
    env = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
    done = run_step(project, "promote", env=env)
    assert done.returncode == 0, done.stderr
    report = report_of(project)
    assert report == json.loads((project / "reports/promote/decision.json").read_text())
    assert report["decision"] == "keep_testing"
    assert report["reason"] in done.stdout
    assert {"name", "passed", "value", "limit"} <= set(report["checks"][0])
    assert {"method", "log_e_promote", "log_e_reject", "threshold", "users", "labelled"} <= set(
        report["evidence"]
    )
    assert report["versions"] == {"prod": "1", "staging": "2"}
    assert report["arms"]["A"]["labelled"] + report["arms"]["B"]["labelled"] == 500
    assert set(report["window"]) == {"from", "to"}
    assert outputs.read_text().startswith(
        "decision=keep_testing\npromoted=false\nrollback_proposed=false\nreport<<"
    )
    assert "sample ratio of users" in summary.read_text()
    assert registry_of(project).aliases() == {"prod": "1", "staging": "2"}


def test_the_site_shows_the_running_test_and_both_versions(project: Path):
    write_log(project, users=500, prod=0.9, staging=0.92, seed=2)
    reason = promote(project)["reason"]
    done = run_step(project, "site")
    assert done.returncode == 0, done.stderr
    text = (project / "site" / "index.html").read_text()
    assert "v1 is in production, v2 is tested against it." in text
    assert f"<b>{html.escape(reason)}</b>" in text
    assert text.count("E-values") == 1
    for number, config in (("1", "baseline"), ("2", "neighbours")):
        metrics = (
            client_of(project).get_run(registry_of(project).version(number).run_id).data.metrics
        )
        assert f"<td>{config}</td>" in text
        assert f"{metrics['accuracy']:.4f}" in text
    report = (project / "reports/promote/promote.html").read_text()
    assert (project / "site" / "report-promote.html").read_text() == report


def test_a_worse_staging_is_rejected_and_linked_to_its_evidence(project: Path):
    write_log(project, users=2000, prod=0.95, staging=0.85, seed=3)
    assert promote(project, dry_run="true")["decision"] == "reject"
    assert registry_of(project).aliases() == {"prod": "1", "staging": "2"}
    assert promote(project)["promoted"] is False
    registry = registry_of(project)
    assert registry.aliases() == {"prod": "1"}
    rejected = registry.version("2")
    assert (rejected.verdict, rejected.tags["decision"]) == ("rejected", "rejected")
    run = rejected.tags["decision_run"]
    assert registry.ledger()[-1].evidence == run
    files = {file.path for file in client_of(project).list_artifacts(run, "report")}
    assert {f"report/promote.{kind}" for kind in ("json", "md", "html")} <= files
    assert promote(project)["reason"] == "No version is staging: nothing is being tested."


def test_a_pair_that_is_forced_back_is_tested_again_from_the_start(project: Path):
    write_log(project, users=1000, prod=0.95, staging=0.85, seed=3)
    assert promote(project)["decision"] == "reject"
    registry_of(project).move({"staging": "2"}, "by force", "none")
    report = promote(project)
    assert (report["decision"], report["evidence"]["labelled"]) == ("keep_testing", 0)


def test_a_decision_by_hand_needs_a_reason_and_says_that_it_was_by_hand(project: Path):
    done = run_step(project, "promote", action="promote")
    assert (done.returncode, done.stderr) == (
        2,
        'promote: action=promote needs a reason: -P reason="..."\n',
    )
    report = promote(project, action="promote", reason="the old one leaks", log="nowhere.csv")
    assert report["promoted"] is True
    assert registry_of(project).ledger()[-1].reason == "promote by hand: the old one leaks"
    assert "nowhere.csv: no such file" in report["reason"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"action": "promot"}, "action=promot: did you mean 'promote'?"),
        ({"log": "nowhere.csv"}, "log=nowhere.csv: no such file; expected a CSV or Parquet export"),
        ({"log": "http://localhost:1"}, "log=http://localhost:1/log.csv does not answer"),
        (
            {"log": "postgresql://u:secret@localhost:1/log"},
            "postgresql://u:***@localhost:1/log cannot",
        ),
        ({"log": "ftp://x/y"}, "expected sqlite:///... or postgresql://..."),
        ({"plan": "true", "accuracy": "2"}, "accuracy=2.0: expected prod's accuracy"),
        ({"plan": "true", "split": "half"}, "split=half: expected a number"),
    ],
)
def test_wrong_input_is_an_error_of_one_line_with_a_remedy(
    project: Path, arguments: dict[str, str], says: str
):
    done = run_step(project, "promote", **arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("kind", ["csv", "parquet", "contract.csv"])
def test_an_export_gives_the_same_decision_as_the_log(project: Path, kind: str):
    """`contract.csv` has only the columns that /log.csv promises: no split, no pair of versions."""
    options = {"users": 2000, "prod": 0.85, "staging": 0.95, "seed": 1}
    write_log(project, **options)
    expected = promote(project, dry_run="true")
    file = project / f"export.{kind}"
    rows = rows_of_test(**options).assign(region="north")
    rows = (
        rows.drop(columns="model_version")
        .assign(
            model_version=rows["arm"].map({"A": "1", "B": "2"}),
            prod_version="1",
            staging_version="2",
            model="iris",
            timestamp=pd.to_datetime(rows["time"], unit="s", utc=True),
        )
        .drop(columns="time")
        .rename(columns={"arm": "variant"})
    )
    if kind == "contract.csv":
        text = (project / "configs/project.yaml").read_text()
        (project / "configs/project.yaml").write_text(text + "\nab: {split: 0.5}\n")
        rows["timestamp"] += pd.Timedelta(days=400)
        contract = ["request_id", "timestamp", "user_id", "variant", "model_version", "region"]
        rows = rows[[*contract, "prediction", "label"]]
    rows.to_parquet(file) if kind == "parquet" else rows.to_csv(file, index=False)
    report = promote(project, log=str(file), dry_run="true")
    for key in ("log_e_promote", "log_e_reject", "first_at", "labelled"):
        assert report["evidence"][key] == pytest.approx(expected["evidence"][key]), key
    assert report["decision"] == "promote"


def test_a_plan_says_how_long_a_test_takes(project: Path):
    done = run_step(project, "promote", plan="true", users_a_day="100", accuracy="0.8")
    assert done.returncode == 0, done.stderr
    assert "+5.0 points" in done.stdout
    (rows,) = json.loads((project / "reports/plan/plan.json").read_text()).values()
    by_difference = {round(row["difference"], 3): row for row in rows}
    assert by_difference[0.0]["promoted"] <= 0.07
    assert by_difference[0.1]["promoted"] >= 0.95
    assert by_difference[0.1]["median"] < 1000


PAIRED = "promotion:\n  method: paired\n  min_labelled: 20\n  min_errors: 0\n"


def test_the_models_rescore_pairs_if_the_log_lacks_an_answer(project: Path):
    """The traffic is Iris' own rows; each version rescores the requests that the other answered."""
    from ratchet.data.split import load_split
    from ratchet.settings import read_settings

    file = project / "configs/project.yaml"
    file.write_text(file.read_text().replace("promotion:\n", PAIRED))
    split = load_split(read_settings(project / "configs/project.yaml").data)
    table = split.table
    rows = rows_of_test(users=len(table.features), seed=4)
    log = PredictionLog(f"sqlite:///{project}/predictions.db")
    log.append_now(
        [
            record._replace(
                features=json.dumps(features),
                prediction=json.dumps("setosa"),
                label=json.dumps(truth),
            )
            for record, features, truth in zip(
                records(rows), table.features.to_dict("records"), table.target, strict=True
            )
        ]
    )
    log.close()
    report = promote(project, dry_run="true")
    assert report["evidence"]["method"] == "exact sequential McNemar"
    assert report["arms"]["A"]["labelled"] == report["arms"]["B"]["labelled"] == 150


KILLED = """
import os, signal, sys
import ratchet.registry.registry as module
from mlflow import MlflowClient

calls = 0
def dying(method):
    def step(self, *given, **named):
        global calls
        calls += 1
        if calls == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, *given, **named)
    return step

for name in ("create_registered_model", "delete_registered_model", "set_registered_model_tag",
             "set_registered_model_alias", "delete_registered_model_alias",
             "set_model_version_tag"):
    setattr(MlflowClient, name, dying(getattr(MlflowClient, name)))
store = "sqlite:///mlflow.db"
registry = module.Registry(MlflowClient(store, store), "iris")
move = {"prod": "2", "previous": "1", "staging": None}
registry.move(move, "promote: better", "run-b", {"2": {"decision": "promoted"}}, registry.aliases())
"""


@pytest.mark.parametrize("at", range(1, 12))
def test_a_killed_promotion_is_either_complete_or_has_no_effect(project: Path, at: int):
    died = run_python(["-c", KILLED, str(at)], project)
    registry = registry_of(project)
    before = {"prod": "1", "staging": "2"}
    after = {"prod": "2", "previous": "1"}
    if at == 11:  # one more than the number of steps
        assert died.returncode == 0, died.stderr
    else:
        assert died.returncode == -9
    registry.finish_moves()
    begun = at > 2  # the registry lock, then the ledger line
    assert registry.aliases() == (after if begun else before)
    assert all(line.done for line in registry.ledger())
    assert registry.version("2").tags.get("decision") == ("promoted" if begun else None)
    registry.move({"staging": "1"}, "the turn is free again", "none")
    names = [model.name for model in client_of(project).search_registered_models()]
    assert names == ["iris"]


def test_one_of_two_simultaneous_promotions_moves_and_the_other_says_so(project: Path):
    write_log(project, users=2000, prod=0.85, staging=0.95, seed=1)
    command = [sys.executable, "-m", "steps.promote"]
    for name in ("action=auto", "reason=", "log=RATCHET_LOG_URL"):
        command += [f"--{name.split('=')[0]}", name.split("=")[1]]
    both = [
        subprocess.Popen(
            command,
            cwd=project,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    output = [one.communicate(timeout=300) for one in both]
    assert [one.returncode for one in both] == [0, 0], output
    registry = registry_of(project)
    assert registry.aliases() == {"prod": "2", "previous": "1"}
    promotions = [line for line in registry.ledger() if line.reason.startswith("promote")]
    assert len(promotions) == 1
    last_lines = sorted(out.strip().splitlines()[-1] for out, _ in output)
    assert last_lines[0].startswith(("Nothing moved: another process was first", "No version is"))
    assert last_lines[1].startswith("promote: staging is better")


def test_a_move_stops_if_the_aliases_have_moved_since_the_decision(project: Path):
    registry = registry_of(project)
    seen = registry.aliases()
    registry.move({"staging": None}, "reject by hand: first", "none")
    with pytest.raises(Overtaken, match="reject by hand: first"):
        registry.move({"prod": "2"}, "promote: late", "none", expected=seen)
    assert registry.aliases() == {"prod": "1"}


def test_a_second_rollback_goes_one_version_further_back(project: Path):
    registry = registry_of(project)
    for config in ("forest", "boosting"):
        done = run_step(project, "train", config=f"configs/models/{config}.yaml")
        assert done.returncode == 0, done.stderr
    registry.move({"prod": "2", "previous": "1", "staging": None}, "promote: a", "none")
    registry.move({"prod": "3", "previous": "2"}, "promote: b", "none")
    for expected in ({"prod": "2", "previous": "1"}, {"prod": "1"}):
        assert run_step(project, "promote", action="rollback").returncode == 0
        assert registry.aliases() == expected


def test_the_page_opens_in_a_browser_and_shows_the_verdict(project: Path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    write_log(project, users=800, prod=0.88, staging=0.9, seed=5)
    promote(project)
    page = project / "reports/promote/promote.html"
    done = run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        project,
    )
    assert done.returncode == 0, done.stderr
    assert report_of(project)["reason"] in html.unescape(done.stdout)
    assert done.stdout.count("<polyline") == 2
    assert "Evidence over time against its threshold" in done.stdout
    assert not re.findall(r"(?:src|href)=|https?://(?!www.w3.org)", page.read_text())


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
