"""The data of a check, read by Dask and by Spark: bit for bit the same as DuckDB reads."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet.environments import ENVIRONMENTS, python_of
from ratchet.errors import InputError
from ratchet.profile.cluster import LOCK, read_on_cluster
from ratchet.profile.profile import Profile, to_json
from ratchet.profile.reading import read_current, read_reference
from ratchet.settings import DataSettings, DriftSettings, Settings
from tests.projects import REPOSITORY, free_port, new_project, process, run_step

pytestmark = pytest.mark.slow
JAVA = shutil.which("java")
ROWS = [4000, 1, 0, 2500, 3000, 12, 5000, 700, 900, 3]  # of each file


def frame(rows: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(shift, 1, rows)),
            "count": rng.integers(0, 12, rows),
            "word": pd.Series(rng.choice(["red", "Red ", "blue", None], rows), dtype="str"),
            "new": pd.Series([f"w{n}" for n in rng.integers(seed, seed + 60, rows)], dtype="str"),
            "on": rng.random(rows) < 0.3,
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 365, rows), "D"),
            "target": pd.Series(rng.choice(["yes", "no"], rows), dtype="str"),
            "prediction": pd.Series(rng.choice(["yes", "no"], rows), dtype="str"),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a reference, and the current data as files in folders that name a partition."""
    folder = tmp_path_factory.mktemp("data")
    frame(6000, seed=0).to_parquet(folder / "reference.parquet")
    for number, rows in enumerate(ROWS):
        part = folder / "today" / f"hour={number:02d}" / "part.parquet"
        part.parent.mkdir(parents=True)
        frame(rows, seed=number + 1, shift=0.2).to_parquet(part)
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> DataSettings:
    return DataSettings(source=str(folder / "reference.parquet"), target="target")


@pytest.fixture(scope="module")
def reference(data: DataSettings) -> Profile:
    return read_reference(data.source, data).profile


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in the repository, because the cluster's lock and the environments are there."""
    monkeypatch.chdir(REPOSITORY)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a scheduler and two workers that have the lock's packages but no checkout."""
    folder, port, ports = tmp_path_factory.mktemp("dask"), free_port(), [free_port(), free_port()]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        python = str(python_of(LOCK))
    address = f"tcp://127.0.0.1:{port}"
    scheduler = [python, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    scheduler += ["--host", "127.0.0.1", "--port", str(port)]
    worker = [python, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    worker += ["--no-dashboard", "--local-directory", str(folder), "--worker-port"]
    with (
        process(scheduler, folder, port),
        process([*worker, str(ports[0])], folder, ports[0]),
        process([*worker, str(ports[1])], folder, ports[1]),
    ):
        yield address


@pytest.fixture(params=["dask", "spark"])
def engine(request: pytest.FixtureRequest) -> DriftSettings:
    if request.param == "dask":
        return DriftSettings(engine="dask", address=request.getfixturevalue("dask"))
    if JAVA is None:
        pytest.skip("no Java here, which Spark needs: apt-get install default-jre-headless")
    return DriftSettings(engine="spark", address="local-cluster[2,1,1024]")


def test_a_cluster_and_duckdb_read_the_same_counts(
    engine: DriftSettings, data: DataSettings, reference: Profile, folder: Path
):
    current = str(folder / "today/*/part.parquet")
    settings = Settings(model="m", data=data, drift=engine)
    reading, changes = read_on_cluster(current, settings, reference)
    expected, expected_changes = read_current(current, data, reference)
    assert expected.profile.rows == sum(ROWS)
    assert to_json(reading.profile) == to_json(expected.profile)
    assert reading.sample.num_rows == 4000
    assert reading.sample.equals(expected.sample)
    assert changes == expected_changes
    assert changes.extra == ["hour"]


def test_the_step_reports_the_same_with_each_engine(dask: str, folder: Path, tmp_path: Path):
    python = python_of(LOCK)
    settings = {"model": "m", "data": {"source": "reference.parquet", "target": "target"}}
    project = new_project(tmp_path / "project", settings)
    (project / ".ratchet").mkdir()
    (project / ENVIRONMENTS).symlink_to(python.parents[2])
    shutil.copy(REPOSITORY / LOCK, project)
    reports = []
    always = {"cooldown_hours": 0}
    for limits in (always, always | {"engine": "dask", "address": dask}):
        (project / "configs/project.yaml").write_text(json.dumps({**settings, "drift": limits}))
        done = run_step(
            project,
            "drift",
            current=f"file://{folder}/today/*/part.parquet",
            reference=str(folder / "reference.parquet"),
        )
        assert done.returncode == 0, done.stderr
        reports.append(json.loads((project / "reports/drift/drift.json").read_text()))
    assert f"dask at {dask} reads" in done.stdout
    assert reports[0]["rows"]["current"] == sum(ROWS)
    assert reports[0]["verdict"] == "drifted"
    assert reports[1] == reports[0]


def test_a_file_that_a_worker_cannot_read_is_named(
    dask: str, data: DataSettings, reference: Profile, tmp_path: Path
):
    settings = Settings(model="m", data=data, drift=DriftSettings(engine="dask", address=dask))
    today = str(tmp_path / "*.parquet")
    with pytest.raises(InputError, match=r"^No file at '.*\*.parquet' \(current\)"):
        read_on_cluster(today, settings, reference)
    frame(50, seed=1).to_parquet(tmp_path / "0.parquet")
    frame(50, seed=1).drop(columns="amount").to_parquet(tmp_path / "1.parquet")
    with pytest.raises(InputError, match=r"^/.*1.parquet has no column 'amount'"):
        read_on_cluster(today, settings, reference)
    (tmp_path / "1.parquet").write_text("PAR1 and no more")
    with pytest.raises(InputError, match=r"^/.*1.parquet \(current\) cannot be read by a worker"):
        read_on_cluster(today, settings, reference)


def test_long_running_workers_load_the_code_of_each_check(
    dask: str,
    data: DataSettings,
    reference: Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    for number in range(8):  # tasks enough for both workers
        (tmp_path / f"{number}.parquet").write_text("no Parquet")
    settings = Settings(model="m", data=data, drift=DriftSettings(engine="dask", address=dask))
    shutil.copytree(REPOSITORY / "ratchet", tmp_path / "newer" / "ratchet")
    for name in ("pyproject.toml", "requirements.in", "LICENSE"):
        shutil.copyfile(REPOSITORY / name, tmp_path / "newer" / name)
    changed = tmp_path / "newer/ratchet/profile/parts.py"
    for source, says in ((REPOSITORY, "by a worker"), (tmp_path / "newer", "by a newer worker")):
        changed.write_text(changed.read_text().replace("by a worker", "by a newer worker"))
        monkeypatch.setattr("ratchet.wheel.SOURCE", source)
        with pytest.raises(InputError, match=says):
            read_on_cluster(str(tmp_path / "*.parquet"), settings, reference)


@pytest.mark.parametrize(
    ("limits", "current", "says"),
    [
        (DriftSettings(engine="spark"), "x.parquet", r"drift.address is not set"),
        (DriftSettings(engine="dask", address="tcp://s:1"), "x.csv", r"dask reads Parquet"),
        (
            DriftSettings(engine="dask", address="tcp://127.0.0.1:1"),
            "x.parquet",
            r"^Dask at tcp://127.0.0.1:1 \(drift.address\) does not answer",
        ),
    ],
)
def test_a_wrong_cluster_setting_is_an_error_that_names_it(
    limits: DriftSettings, current: str, says: str, data: DataSettings, reference: Profile
):
    with pytest.raises(InputError, match=says):
        read_on_cluster(current, Settings(model="m", data=data, drift=limits), reference)
