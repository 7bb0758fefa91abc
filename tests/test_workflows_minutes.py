"""The minutes that the workflows cost on GitHub, computed from the workflow files.

GitHub rounds each job up to a whole minute; a skipped job costs nothing. The seconds of the steps
are estimated: those of `python -m benchmarks.push` on two cores with a warm package cache, doubled.
"""

import math
import re
from typing import Any

from tests.acting import workflow

START = 10  # a runner starts, and cleans up
SECONDS = {
    "./.github/actions/setup": 45,
    "./.github/actions/store": 10,
    "make check": 60,
    "make audit": 60,
    "make lock": 60,
    "python -m steps.train": 20,
    "python -m steps.evaluate": 20,
    "python -m steps.drift": 20,
    "python -m steps.promote": 20,
    "python -m steps.site": 10,
    "actions/deploy-pages": 20,
}
OTHER = 5
CODE_ONLY = "steps.changes.outputs."


def minutes(name: str, job: str, skipped: str = "nothing") -> int:
    steps = workflow(name)["jobs"][job]["steps"]
    seconds = sum(seconds_of(step) for step in steps if skipped not in step.get("if", ""))
    return math.ceil((START + seconds) / 60)


def seconds_of(step: dict[str, Any]) -> int:
    command = step.get("uses") or step["run"]
    return next((s for start, s in SECONDS.items() if command.startswith(start)), OTHER)


def schedules(name: str) -> list[str]:
    return [one["cron"] for one in workflow(name)[True].get("schedule", [])]  # `on` is true in YAML


def runs_a_month(cron: str) -> float:
    """Return how often a cron line starts a run in a month of 30.4 days."""
    _, hour, _, _, weekday = cron.split()
    if weekday != "*":
        return 30.4 / 7
    parts = hour.split(",")
    spans = [re.fullmatch(r"(\d+)-(\d+)", part) for part in parts]
    hours = sum(int(span[2]) - int(span[1]) + 1 for span in spans if span)
    if hour.startswith("*"):
        hours = 24 // int(hour.removeprefix("*/")) if "/" in hour else 24
    return 30.4 * (hours or len(parts))


def test_the_runs_of_a_cron_line_are_counted():
    assert runs_a_month("17 5 * * *") == 30.4
    assert runs_a_month("41 */6 * * *") == 30.4 * 4
    assert runs_a_month("41 1-5,7-11,13-17,19-23 * * *") == 30.4 * 20


def test_an_idle_repository_costs_less_than_50_minutes_a_month():
    """The jobs of `monitor` and `promote` are skipped before they start if no log is set."""
    for name in ("monitor", "promote"):
        assert "github.event_name == 'schedule' && " in workflow(name)["jobs"]["look"]["if"]
        assert "vars.RATCHET_LOG != ''" in workflow(name)["jobs"]["look"]["if"]
    others = {"ci", "train", "package", "doctor"}
    assert [schedules(name) for name in sorted(others)] == [[], [], [], []]
    (weekly,) = schedules("maintenance")
    cost = runs_a_month(weekly) * sum(minutes("maintenance", job) for job in ("maintain", "notify"))
    assert cost < 50


def test_a_repository_with_a_log_costs_less_than_500_minutes_a_month():
    six_hourly, _ = schedules("promote")
    (daily,) = schedules("monitor")
    cost = runs_a_month(six_hourly) * minutes("promote", "look")
    cost += runs_a_month(daily) * (minutes("monitor", "look") + minutes("monitor", "notify"))
    assert cost < 500


def test_a_site_costs_2_minutes_per_run_or_3_with_a_log_and_nothing_if_it_is_off():
    condition = workflow("site")["jobs"]["publish"]["if"]
    assert condition.startswith("vars.RATCHET_SITE == 'true' && (")
    assert "github.event.workflow_run.conclusion != 'skipped'" in condition
    assert schedules("site") == []
    assert minutes("site", "publish", skipped="vars.RATCHET_LOG") == 2
    assert minutes("site", "publish") == 3


def test_a_pull_request_that_changes_one_config_costs_less_than_8_minutes():
    cost = minutes("ci", "green", skipped=CODE_ONLY)
    cost += minutes("train", "try") + minutes("train", "comment")
    assert list(workflow("ci")["jobs"]) == ["green"]
    assert cost < 8
