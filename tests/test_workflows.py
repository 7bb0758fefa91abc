"""Rules for the workflow files that neither act nor a linter checks."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ratchet.store import lock
from tests.acting import definitions, stub, third_party, workflow
from tests.projects import REPOSITORY

NAMES = sorted(file.stem for file in (REPOSITORY / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((REPOSITORY / ".github/actions").glob("*/action.yml"))
SCHEDULED = ("monitor", "promote")
LOCKING = ("lock", "rebase")
JOBS = [(name, job) for name in NAMES for job in workflow(name)["jobs"]]


def job(name: str, key: str) -> dict[str, Any]:
    content: dict[str, Any] = workflow(name)["jobs"][key]
    return content


def steps(name: str, key: str) -> list[dict[str, Any]]:
    return list(job(name, key).get("steps", []))


def triggers(name: str) -> dict[str, Any]:
    loaded = workflow(name)
    return dict(loaded.get("on") or loaded[True])  # YAML 1.1 reads `on` as true


def writes(name: str, key: str) -> bool:
    return any(step.get("with", {}).get("action") in LOCKING for step in steps(name, key))


def as_file(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_permissions_and_each_job_names_its_own(name: str):
    assert workflow(name)["permissions"] == {}
    assert all("permissions" in one for one in workflow(name)["jobs"].values())


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_each_job_has_a_timeout_and_the_runner_of_the_setting(name: str, key: str):
    if "uses" not in job(name, key):
        assert job(name, key)["timeout-minutes"] <= 110
        assert job(name, key)["runs-on"] == "${{ vars.RATCHET_RUNNER || 'ubuntu-latest' }}"


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_a_job_that_locks_the_store_always_puts_it_back(name: str, key: str):
    if not writes(name, key):
        return
    actions = [one.get("with", {}).get("action") for one in steps(name, key)]
    back = steps(name, key)[actions.index("put")]
    assert back["if"] == "always() && steps.store.outcome == 'success'"
    assert job(name, key)["timeout-minutes"] < lock.MINUTES
    assert job(name, key)["permissions"]["actions"] == "read"


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_writes_the_store_is_never_cancelled(name: str):
    """A concurrency group cancels the older of two waiting runs; the store's lock does not."""
    if not any(writes(name, key) for key in workflow(name)["jobs"]):
        return
    group = workflow(name)["concurrency"]
    assert "github.run_id" in group["group"]
    assert group["cancel-in-progress"] in (False, "${{ github.event_name == 'pull_request' }}")


@pytest.mark.parametrize("file", definitions(), ids=as_file)
def test_a_run_block_contains_no_expression(file: Path):
    for block in re.findall(r"run: (\|\n(?:(?: {8,}.*)?\n)+|.*\n)", file.read_text()):
        assert "${{" not in block


@pytest.mark.parametrize("file", definitions(), ids=as_file)
def test_third_party_actions_are_pinned_by_commit_and_name_their_version(file: Path):
    lines = [line for line in file.read_text().splitlines() if re.search(r"uses: [^.]", line)]
    pinned = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
    assert [line for line in lines if not pinned.search(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_checkout_keeps_no_token(name: str):
    checkouts = [
        one
        for key in workflow(name)["jobs"]
        for one in steps(name, key)
        if one.get("uses", "").startswith("actions/checkout@")
    ]
    assert all(one["with"]["persist-credentials"] is False for one in checkouts)


def test_every_third_party_action_has_a_stand_in_for_act():
    names = {name for file in definitions() for name in third_party(file)}
    assert [name for name in names if not (stub(name) / "action.yml").exists()] == []


def test_a_stand_in_accepts_the_inputs_of_its_action():
    import yaml

    used: dict[str, set[str]] = {}
    for file in definitions():
        content = yaml.safe_load(file.read_text())
        blocks = [*content.get("jobs", {}).values(), content.get("runs", {})]
        for step in [one for block in blocks for one in block.get("steps", [])]:
            if "@" in step.get("uses", ""):
                used.setdefault(step["uses"], set()).update(step.get("with", {}))
    for name, inputs in used.items():
        known = yaml.safe_load((stub(name) / "action.yml").read_text()).get("inputs", {})
        assert inputs <= set(known), name


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_no_training_and_no_search_holds_the_lock(name: str, key: str):
    if not writes(name, key):
        return
    actions = [one.get("with", {}).get("action") for one in steps(name, key)]
    first = next(number for number, action in enumerate(actions) if action in LOCKING)
    locked = steps(name, key)[first : actions.index("put")]
    commands = [step.get("run", "").split(" --")[0] for step in locked]
    assert not {"python -m steps.train", "python -m steps.automl"} & set(commands)


def test_reviewers_are_asked_before_a_move_and_not_before_a_check():
    assert job("promote", "move")["environment"] == "production"
    assert "environment" not in job("promote", "look")
    assert not writes("promote", "look")
    assert writes("promote", "move")


def test_a_pull_request_gets_no_secret_and_no_lock():
    assert "pull_request_target" not in {event for name in NAMES for event in triggers(name)}
    text = str(job("train", "try"))
    assert "secrets." not in text
    assert not writes("train", "try")
    assert job("train", "try")["permissions"] == {"contents": "read"}


def test_the_job_that_comments_runs_no_code_of_the_pull_request():
    checkout, notice = steps("train", "comment")
    assert checkout["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert notice["uses"] == "./.github/actions/notice"


def test_drift_is_checked_daily_and_promotion_every_six_hours_or_hourly():
    crons = {name: [one["cron"] for one in triggers(name)["schedule"]] for name in SCHEDULED}
    hours = {*range(1, 6), *range(7, 12), *range(13, 18), *range(19, 24)}
    assert sorted({0, 6, 12, 18} | hours) == list(range(24))
    assert crons["monitor"] == ["17 5 * * *"]
    assert crons["promote"] == ["41 */6 * * *", "41 1-5,7-11,13-17,19-23 * * *"]
    condition = job("promote", "look")["if"]
    assert f"github.event.schedule == '{crons['promote'][0]}'" in condition
    assert "vars.RATCHET_PROMOTE == 'hourly'" in condition


def test_the_required_check_is_one_job_that_no_event_skips():
    assert list(workflow("ci")["jobs"]) == ["green"]
    assert job("ci", "green")["name"] == "all green"
    assert "if" not in job("ci", "green")
    assert set(triggers("ci")) == {"push", "pull_request", "merge_group"}
    assert not any(step.get("continue-on-error") for step in steps("ci", "green"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("train", "train"),
        ("monitor", "look"),
        ("score", "score"),
        ("promote", "look"),
        ("package", "package"),
        ("maintenance", "maintain"),
        ("site", "publish"),
    ],
)
def test_a_manual_run_on_another_branch_moves_nothing(name: str, key: str):
    condition = job(name, key)["if"]
    assert "github.ref_name == github.event.repository.default_branch" in condition
    needs = {other: job(name, other).get("needs", []) for other in workflow(name)["jobs"]}
    for other in needs:
        if other != key and writes(name, other):
            assert key in needs[other] or "needs" in job(name, other)


def test_a_failed_config_or_job_does_not_leave_a_moved_alias_unpackaged():
    """`if:` without a status function means success()."""
    for name, needed in (("train", "train"), ("monitor", "retrain"), ("promote", "move")):
        condition = job(name, "package")["if"]
        assert "!cancelled()" in condition
        assert f"needs.{needed}.outputs.unpackaged == 'true'" in condition
        assert "promoted" not in condition


def test_no_job_waits_for_the_tags():
    for name in ("train", "promote"):
        assert "mirror" in workflow(name)["jobs"]
        assert "mirror" not in str([one.get("needs") for one in workflow(name)["jobs"].values()])


def test_an_attestation_is_made_only_if_github_accepts_it():
    (step,) = [s for s in steps("package", "package") if "attest" in s.get("uses", "")]
    assert "github.event.repository.visibility == 'public'" in step["if"]
    assert "vars.RATCHET_ATTEST == 'true'" in step["if"]


def test_the_site_runs_the_default_branch_and_takes_nothing_from_the_run_that_started_it():
    """A pull request of a fork can start a `workflow_run` with a token that may write."""
    condition = job("site", "publish")["if"]
    assert "github.event.workflow_run.event != 'pull_request'" in condition
    checkout = steps("site", "publish")[0]
    assert "ref" not in checkout["with"]  # GitHub checks out the default branch
    assert not any("download-artifact" in step.get("uses", "") for step in steps("site", "publish"))
    started_by = set(triggers("site")["workflow_run"]["workflows"])
    assert started_by == {"train", "monitor", "promote"}


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_the_log_and_its_token_are_known_only_to_the_steps_that_read_it(name: str, key: str):
    variables = [*job(name, key).get("env", {})]
    assert not {"RATCHET_LOG_URL", "RATCHET_ADMIN_TOKEN"} & set(variables)
    for step in steps(name, key):
        if "RATCHET_LOG_URL" in step.get("env", {}):
            assert step["run"].startswith(("python -m steps.", "python3 -m ratchet.github.doctor"))


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_passed_one_by_one(name: str):
    assert "inherit" not in [one.get("secrets") for one in workflow(name)["jobs"].values()]


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="make tools installs actionlint")
def test_actionlint_finds_nothing():
    done = subprocess.run(["actionlint"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_ruleset_requires_the_job_that_ci_has():
    rules = json.loads((REPOSITORY / ".github/ruleset.json").read_text())["rules"]
    (checks,) = [rule for rule in rules if rule["type"] == "required_status_checks"]
    required = [one["context"] for one in checks["parameters"]["required_status_checks"]]
    assert required == [job["name"] for job in workflow("ci")["jobs"].values()]


@pytest.mark.parametrize(("name", "key"), JOBS)
def test_only_a_push_to_ci_writes_the_cache(name: str, key: str):
    set_ups = [step for step in steps(name, key) if step.get("uses") == "./.github/actions/setup"]
    saves = [step["with"]["save-cache"] for step in set_ups if "with" in step]
    assert saves == (["${{ github.event_name == 'push' }}"] if name == "ci" else [])


def test_the_comment_on_a_pull_request_holds_every_report_of_the_trial():
    reports = job("train", "try")["outputs"]
    (body,) = [
        step["with"]["body"]
        for step in steps("train", "comment")
        if "with" in step and "body" in step["with"]
    ]
    assert set(reports) == {"check", "train", "gate"}
    assert all(f"${{{{ needs.try.outputs.{name} }}}}" in body for name in reports)
