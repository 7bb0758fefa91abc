"""Files scored by Dask and Spark: the same file as one machine writes, byte for byte."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.environments import ENVIRONMENTS, python_of
from ratchet.profile.cluster import LOCK
from tests.projects import REPOSITORY, free_port, new_project, process, run_step
from tests.tables import mixed_frame, write

pytestmark = pytest.mark.slow
SETTINGS = {
    "model": "mixed",
    "data": {"source": "table.parquet", "target": "outcome", "kinds": {"branch": "categorical"}},
}


@pytest.fixture(scope="module")
def python() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return str(python_of(LOCK))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, python: str) -> Path:
    """Make a project with a prod, four files to score, and what one machine makes of them."""
    project = new_project(tmp_path_factory.mktemp("cluster"), SETTINGS)
    (project / ".ratchet").mkdir()
    (project / ENVIRONMENTS).symlink_to(Path(python).parents[2])
    shutil.copy(REPOSITORY / LOCK, project)
    write(mixed_frame(300, seed=1), project / "table.parquet")
    (project / "days").mkdir()
    for number, rows in enumerate((70, 0, 200, 1)):
        write(mixed_frame(rows, seed=number), project / f"days/{number}.parquet")
    for step, arguments in (
        ("train", {"config": "configs/models/lightgbm.yaml"}),
        ("evaluate", {"force": "true"}),
        ("score", {"data": "days/*.parquet", "out": "expected.parquet"}),
    ):
        done = run_step(project, step, **arguments)
        assert done.returncode == 0, done.stderr
    return project


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory, python: str) -> Iterator[str]:
    """Start a scheduler and a worker that has the lock's packages but no checkout."""
    folder, port, other = tmp_path_factory.mktemp("dask"), free_port(), free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = [python, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    scheduler += ["--host", "127.0.0.1", "--port", str(port)]
    worker = [python, "-m", "distributed.cli.dask_worker", address, "--nthreads", "2"]
    worker += ["--no-dashboard", "--local-directory", str(folder), "--worker-port", str(other)]
    with process(scheduler, folder, port), process(worker, folder, other):
        yield address


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_a_cluster_writes_the_file_that_one_machine_writes(
    engine: str, project: Path, request: pytest.FixtureRequest
):
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("no Java here, which Spark needs: apt-get install default-jre-headless")
    address = request.getfixturevalue("dask") if engine == "dask" else "local[2]"
    cluster = {"score": {"engine": engine, "address": address}}
    (project / "configs/project.yaml").write_text(json.dumps(SETTINGS | cluster))
    out = f"{engine}.parquet"
    done = run_step(project, "score", data="days/*.parquet", out=out)
    assert done.returncode == 0, done.stderr
    assert f"{engine} at {address} reads days/*.parquet" in done.stdout
    assert (project / out).read_bytes() == (project / "expected.parquet").read_bytes()


def test_a_cluster_without_an_address_is_an_error_that_names_the_setting(project: Path):
    (project / "configs/project.yaml").write_text(
        json.dumps(SETTINGS | {"score": {"engine": "dask"}})
    )
    done = run_step(project, "score", data="days/*.parquet", out="out.parquet")
    assert done.returncode == 2
    assert done.stderr.startswith("score: score.engine is dask, but score.address is not set.")
    assert done.stderr.count("\n") == 1
