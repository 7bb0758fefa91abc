"""The command line of a step: every error is one line without a traceback."""

import sys
from pathlib import Path

import pytest

from tests.projects import new_project, run, run_python

# Each step, its arguments, and a function that it calls.
STEPS = [
    ("main", [], "ratchet.settings.read_settings"),
    ("check", [], "ratchet.settings.read_settings"),
    ("collect", [], "ratchet.settings.read_settings"),
    ("train", [], "ratchet.data.split.load_split"),
    ("evaluate", [], "ratchet.data.split.load_split"),
    ("drift", [], "ratchet.settings.read_settings"),
    ("automl", [], "ratchet.settings.read_settings"),
    ("package", [], "ratchet.settings.read_settings"),
    ("traffic", [], "ratchet.traffic.traffic.run_traffic"),
    ("promote", [], "ratchet.promotion.promotion.promote"),
    ("score", ["--data", "a.csv", "--out", "b.csv"], "ratchet.settings.read_settings"),
    ("site", [], "ratchet.settings.read_settings"),
    ("history", [], "ratchet.settings.read_settings"),
    ("reproduce", ["--run_id", "x"], "ratchet.training.reproduce.find"),
    ("store", ["--action", "take"], "ratchet.store.state.uses_server"),
]
BREAK_AND_RUN = """
import runpy, sys
from importlib import import_module

step, function, *arguments = sys.argv[1:]
module, _, name = function.rpartition(".")

def fails(*_, **__):
    raise RuntimeError("a library is broken\\nin two lines")

setattr(import_module(module), name, fails)
sys.argv = [step, *arguments]
runpy.run_module(f"steps.{step}", run_name="__main__", alter_sys=True)
"""


def test_every_step_is_in_the_list_of_tested_steps():
    steps = Path(__file__).parent.parent / "steps"
    assert {step for step, _, _ in STEPS} == {path.stem for path in steps.glob("[!_]*")}


@pytest.mark.slow
@pytest.mark.parametrize(("step", "arguments", "function"), STEPS, ids=[row[0] for row in STEPS])
def test_an_unexpected_error_is_one_line_that_names_the_written_traceback(
    step: str, arguments: list[str], function: str, tmp_path: Path
):
    project = new_project(tmp_path)
    done = run_python(["-c", BREAK_AND_RUN, step, function, *arguments], project)
    file = f"reports/{step}/traceback.txt"
    assert (done.returncode, done.stderr) == (
        1,
        f"{step}: unexpected RuntimeError: a library is broken in two lines. This is a bug: please"
        f" report it with the traceback in {file}\n",
    )
    assert "Traceback" not in done.stdout
    assert "in fails" in (project / file).read_text()


def own_step(project: Path, body: str) -> list[str]:
    """Give the project a step `history` of its own; return the command that runs it."""
    (project / "steps").mkdir()
    (project / "steps/__init__.py").touch()
    (project / "steps/history.py").write_text(
        f"from ratchet import entry\n\n\ndef main(alias: str) -> None:\n    {body}\n\n\n"
        "if __name__ == '__main__':\n    entry.run(main)\n"
    )
    return [sys.executable, "-m", "steps.history"]


@pytest.mark.slow
def test_mlflow_run_shows_no_traceback_either(tmp_path: Path):
    project = new_project(tmp_path)
    own_step(project, "raise RuntimeError('a library is broken')")
    (project / "python_env.yaml").touch()
    done = run(["mlflow", "run", ".", "-e", "history", "--env-manager", "local"], project)
    assert done.returncode == 1
    assert "history: unexpected RuntimeError: a library is broken. This is a bug" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_traceback_goes_to_the_temporary_folder_if_the_projects_folder_is_not_writable(
    tmp_path: Path,
):
    project = new_project(tmp_path)
    command = own_step(project, "raise ValueError")
    (project / "reports").write_text("a file, where the folder would be")
    done = run(command, project)
    assert done.returncode == 1
    file = Path(done.stderr.split("the traceback in ")[1].strip())
    assert "ValueError" in file.read_text()
    file.unlink()


@pytest.mark.slow
def test_a_full_disk_is_not_a_bug(tmp_path: Path):
    project = new_project(tmp_path)
    command = own_step(project, "raise OSError(28, 'No space left on device', 'mlflow.db')")
    done = run(command, project)
    assert (
        done.stderr == "history: mlflow.db cannot be written: the disk is full; free some space\n"
    )
    assert done.returncode == 2


BOTH_SIGNALS_AT_ONCE = """
import os, signal
from ratchet.entry import stop_once
stop_once()
both = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, both)
for one in both:
    os.kill(os.getpid(), one)
try:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
except KeyboardInterrupt:
    print("stopped")
"""


def test_two_signals_at_once_stop_a_step_without_a_traceback(tmp_path: Path):
    done = run_python(["-c", BOTH_SIGNALS_AT_ONCE], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")
