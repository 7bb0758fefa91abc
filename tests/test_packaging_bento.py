"""The Bento of prod and staging, and the wheel that it carries."""

import hashlib
import json
import math
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from zipfile import ZipFile

import pytest

from ratchet.packaging.running import ask, served
from ratchet.serving.card import copy_from_mlflow, read_card
from ratchet.wheel import wheel
from tests.projects import REPOSITORY, environment, new_project, run, run_step
from tests.services import iris_project

IMPORT = """
import sys
import bentos.service, ratchet.serving.routes, ratchet.serving.served_model
print(*sorted(sys.modules))
"""
INSTALLED = """
import sys
from pathlib import Path
from zipfile import ZipFile
sys.path.insert(0, "site")
from ratchet.errors import InputError
from ratchet.packaging.running import ask, served
from ratchet.wheel import wheel
try:
    print(wheel(Path("built")))
except InputError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """Return the modules of a process that imported all that a worker imports."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=REPOSITORY,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.slow
def test_a_worker_imports_neither_mlflow_nor_training_nor_duckdb(modules: set[str]) -> None:
    assert {"ratchet.serving.routes", "ratchet.serving.served_model"} <= modules
    assert not {"duckdb", "matplotlib", "mlflow", "pycaret"} & modules
    rooms = {name.split(".")[1] for name in modules if name.startswith("ratchet.")}
    assert not {"training", "registry", "store", "automl", "drift", "profile"} & rooms
    assert {name for name in modules if name.startswith("ratchet.model.")} == {
        "ratchet.model.model_file"
    }


@pytest.mark.slow
def test_a_worker_imports_pandas_only_for_a_model_that_needs_it(modules: set[str]) -> None:
    assert "pandas" not in modules


def test_two_builds_of_the_wheel_are_the_same_bytes_and_hold_the_pages(tmp_path: Path) -> None:
    built = [wheel(tmp_path / name) for name in ("one", "two")]
    first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in built)
    assert first == second
    names = set(ZipFile(built[0]).namelist())
    pages = {str(file.relative_to(REPOSITORY)) for file in REPOSITORY.glob("ratchet/**/*.html")}
    assert "ratchet/serving/ab.html" in pages
    assert pages <= names


def test_an_installed_package_returns_the_wheel_it_came_from(tmp_path: Path) -> None:
    """It is installed into a folder that has no pyproject.toml, as site-packages has none."""
    file = wheel(tmp_path)
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--offline"]
    subprocess.run([*install, "--target", str(tmp_path / "site"), str(file)], check=True)
    done = run([sys.executable, "-c", INSTALLED], tmp_path)
    assert done.stdout.strip() == str(file), done.stderr
    file.unlink()
    missing = run([sys.executable, "-c", INSTALLED], tmp_path)
    assert missing.returncode == 1
    assert str(file) in missing.stderr
    assert "Install ratchet from a wheel file and keep that file" in missing.stderr


def test_a_missing_value_in_the_example_is_missing_and_a_text_stays_a_text(tmp_path: Path) -> None:
    columns = [
        {"name": "left", "type": "datetime"},
        {"name": "word", "type": "string"},
        {"name": "age", "type": "double"},
    ]
    (tmp_path / "MLmodel").write_text(json.dumps({"signature": {"inputs": json.dumps(columns)}}))
    rows = [["NaT", "NaT", math.nan], ["", "2024-03-01T00:00:00", 3.0]]
    example = {"columns": ["word", "left", "age"], "data": rows}
    (tmp_path / "input_example.json").write_text(json.dumps(example))  # as MLflow does, with NaN
    (tmp_path / "model.skops").write_bytes(b"")
    copy_from_mlflow(tmp_path, "m", "1", "baseline", tmp_path / "made")
    assert read_card(tmp_path / "made").example == (
        (None, "NaT", None),
        ("2024-03-01T00:00:00", "", 3.0),
    )


PACK = """
from pathlib import Path
from ratchet.errors import InputError
from ratchet.packaging.bento import pack
from tests.small_registry import SmallRegistry
registry = SmallRegistry(Path("store"))
registry.add("1", ["big", "small"])
registry.add("2", ["large", "small"])
try:
    pack(registry.version("1"), registry.version("2"), registry, Path("no service is needed"))
except InputError as error:
    print(error)
"""


def test_a_staging_version_with_other_classes_than_prods_is_not_packed(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", PACK], tmp_path, BENTOML_HOME=str(tmp_path / "bentoml"))
    assert "its classes are not those of prod: large, small instead of big" in done.stdout


def test_the_image_has_a_pinned_base_and_hashed_packages_and_no_compiler_and_no_root() -> None:
    """CI builds it on GitHub only; `make check` lints it."""
    _, packages, last = re.split(
        r"^FROM ", (REPOSITORY / "bentos/Dockerfile").read_text(), flags=re.M
    )
    base = r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}\b"
    assert re.match(base, packages)
    assert re.match(base, last)
    assert "--only-binary :all: --require-hashes" in packages
    installed = re.findall(r"apt-get install -y --no-install-recommends (.*?) \\", last)
    assert installed == ["libgomp1"]
    assert "pip" not in last
    assert re.search(r"^USER 1034$", last, re.M)
    assert re.search(r"^HEALTHCHECK .*\n.*/livez", last, re.M)


@pytest.mark.slow
def test_packing_without_prod_is_an_error(tmp_path: Path) -> None:
    done = run_step(new_project(tmp_path), "package", smoke="false")
    assert done.returncode == 2
    assert done.stderr.startswith("package: No alias 'prod' on model 'iris'.")


@pytest.mark.slow
def test_a_bento_serves_both_arms_from_its_own_lock_and_is_built_the_same_again(
    tmp_path: Path,
) -> None:
    project = iris_project(tmp_path / "project")
    folders = []
    for name, smoke in (("one", "true"), ("two", "false")):
        done = run_step(project, "package", {"BENTOML_HOME": str(tmp_path / name)}, smoke=smoke)
        assert done.returncode == 0, done.stderr
        report = json.loads((project / "reports/package/package.json").read_text())
        assert report["was_there"] is False
        folders.append(Path(report["path"]))
        if smoke == "true":
            answers = report["answers"]
            assert (answers["A"]["variant"], answers["A"]["model_version"]) == ("A", "1")
            assert (answers["B"]["variant"], answers["B"]["model_version"]) == ("B", "2")
    assert folders[0].name == folders[1].name
    assert contents(folders[0]) == contents(folders[1])
    assert (folders[0] / "src/bentos/requirements.txt").exists()  # the Dockerfile copies it
    image = (REPOSITORY / "bentos/Dockerfile").read_text()
    assert (folders[0] / "src/bentos/Dockerfile").read_text() == image
    for name in ("one", "two"):
        assert len(list((tmp_path / name / "models").rglob("model.skops"))) == 2
    again = run_step(project, "package", {"BENTOML_HOME": str(tmp_path / "one")}, smoke="false")
    assert "existed already" in again.stdout


@pytest.mark.slow
def test_a_bento_serves_its_own_code_even_from_a_checkout(tmp_path: Path) -> None:
    """Its page is changed in the Bento only, and served from the folder of this checkout."""
    project = iris_project(tmp_path / "project")
    home = {"BENTOML_HOME": str(tmp_path / "home")}
    assert run_step(project, "package", home, smoke="false").returncode == 0
    (page,) = (tmp_path / "home").glob("bentos/ratchet/*/src/ratchet/serving/ab.html")
    page.write_text("the page of the Bento")
    env = environment(RATCHET_LOG_URL=f"sqlite:///{tmp_path}/predictions.db", **home)
    with served("ratchet:latest", Path(sys.executable), tmp_path, env) as address:
        with urllib.request.urlopen(f"{address}/ab") as response:
            assert response.read() == b"the page of the Bento"
        assert ask(f"{address}/status")["prod"]["version"] == "1"


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file, without the creation times of the Bento and its models."""
    return {
        str(file.relative_to(folder)): re.sub(rb"creation_time: .*", b"", file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
