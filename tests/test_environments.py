"""Environments of a lock: each is complete or does not exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.environments import ENVIRONMENTS, python_of
from ratchet.errors import InputError
from tests.projects import REPOSITORY, environment, new_project, run_step

pytestmark = pytest.mark.slow


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a lock with one package of PyCaret's lock and its hashes."""
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "requirements-automl.txt").read_text()
    entry = re.search(r"^six==.*?(?=^\S)", text, re.M | re.S)
    assert entry
    path = tmp_path / "six.txt"
    path.write_text(entry[0].rstrip())
    return path


def imports_six(python: Path) -> bool:
    return (
        subprocess.run([str(python), "-E", "-s", "-c", "import six"], check=False).returncode == 0
    )


def test_an_environment_is_created_once_and_is_named_after_the_hash_of_its_lock(
    lock: Path, capsys: pytest.CaptureFixture[str]
):
    first = python_of(lock)
    assert "Creating the environment of six.txt once (packages: 1)" in capsys.readouterr().out
    assert python_of(lock) == first
    assert capsys.readouterr().out == ""
    assert imports_six(first)
    assert list(first.parents[1].glob("lib/*/site-packages/__pycache__/six.*.pyc"))


def test_a_kill_leaves_no_incomplete_environment(lock: Path):
    making = "from pathlib import Path; from ratchet.environments import python_of; import sys;"
    command = [sys.executable, "-c", making + "python_of(Path(sys.argv[1]))", str(lock)]
    env = environment()
    maker = subprocess.Popen(command, env=env, stdout=subprocess.PIPE)
    assert maker.stdout is not None
    maker.stdout.readline()  # the message that it starts
    maker.kill()
    maker.wait()
    assert imports_six(python_of(lock))
    assert not list(ENVIRONMENTS.glob("*.partial"))


def test_two_processes_at_once_create_one_environment(lock: Path):
    making = "from pathlib import Path; from ratchet.environments import python_of; import sys;"
    command = [sys.executable, "-c", making + "print(python_of(Path(sys.argv[1])))", str(lock)]
    env = environment()
    makers = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(2)]
    output = [maker.communicate()[0].decode() for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    assert sum("Created in" in one for one in output) == 1
    assert imports_six(python_of(lock))


def test_a_package_that_differs_from_the_lock_is_refused(lock: Path):
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    with pytest.raises(InputError, match="the hash of a package is not the one in the lock file"):
        python_of(lock)
    assert not list(ENVIRONMENTS.glob("*/bin"))


def test_a_step_without_a_network_fails_with_one_line(tmp_path: Path):
    project = new_project(tmp_path / "p")
    shutil.copy(REPOSITORY / "requirements-automl.txt", project)
    nowhere = {"UV_INDEX_URL": "http://127.0.0.1:9/", "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = run_step(project, "automl", nowhere | {"UV_HTTP_RETRIES": "0"})
    assert done.returncode == 2, done
    (output,) = done.stderr.splitlines()
    assert "could not be created: the package index does not answer; check the network" in output
    assert not (project / "mlflow.db").exists()


def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path):
    project = new_project(tmp_path / "p")
    shutil.copy(REPOSITORY / "requirements-automl.txt", project)
    small = project / ".ratchet"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        done = run_step(project, "automl")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert done.returncode == 2, done
    assert "could not be created: the disk is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_lock_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot be read .*Create it: make lock"):
        python_of(tmp_path / "none.txt")
