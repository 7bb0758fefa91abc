"""Rules for locks, MLproject, steps, README, imports and names. `make check` runs them."""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
ENTRIES = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
STEPS = sorted(path.stem for path in (ROOT / "steps").glob("[!_]*"))  # modules and packages
LOCKS = sorted(
    str(file.relative_to(ROOT).with_suffix(""))
    for way in ("*.in", "*/*.in")
    for file in ROOT.glob(way)
)
OURS = {"ratchet", "steps", "bentos"}
# automl/search.py runs in PyCaret's environment and imports its neighbours by their bare names.
SEARCH_MODULES = {file.stem for file in (ROOT / "ratchet/automl").glob("*.py")}
OPTIONAL = {"catboost"}  # a project that wants it adds it to its own requirements.in
PYTHON_FILES = sorted(
    file for folder in ("ratchet", "steps", "bentos") for file in (ROOT / folder).rglob("*.py")
)


def pins(lock: str) -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([\w.-]+)(?:\[.*\])?==([^\s;\\]+)", (ROOT / lock).read_text(), re.M
    ):
        versions.setdefault(name.lower(), []).append(version)
    return versions


def requirements_of(file: str) -> list[Requirement]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def test_every_entry_is_a_step_and_every_step_is_an_entry():
    assert sorted(ENTRIES) == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_the_command_the_parameters_and_the_function_agree(step: str):
    parameters = list(ENTRIES[step]["parameters"])
    options = "".join(f" --{name} {{{name}}}" for name in parameters)
    assert ENTRIES[step]["command"] == f"python -m steps.{step}{options}"
    assert list(inspect.signature(import_module(f"steps.{step}").main).parameters) == parameters


def test_the_readme_has_a_row_for_every_entry():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), re.M)
    assert rows == list(ENTRIES)


def test_every_make_target_in_the_readme_exists():
    readme = (ROOT / "README.md").read_text()
    words = set(re.findall(r"(?:`|^)make ([a-z]+)", readme, re.M))
    assert words <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def test_the_pages_show_every_picture_and_every_shown_picture_exists():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    pictures = {
        (page.parent / picture).resolve()
        for page in pages
        for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    }
    assert pictures == {ROOT / "docs/flow.svg", *(ROOT / "docs/pictures").iterdir()}
    assert max(picture.stat().st_size for picture in pictures) < 150_000


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_every_requirement_with_its_hash(name: str):
    locked = pins(f"{name}.txt")
    for requirement in requirements_of(f"{name}.in"):
        versions = locked[requirement.name.lower()]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    blocks = re.split(r"^(?=[\w.-]+(?:\[.*\])?==)", (ROOT / f"{name}.txt").read_text(), flags=re.M)
    assert all("--hash=sha256:" in block for block in blocks[1:])


def test_the_development_lock_adds_to_the_main_one_and_changes_nothing():
    main, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: development[name] for name in main} == main


def test_the_lock_of_a_bento_is_a_part_of_the_main_lock_without_training_packages():
    main, bento = pins("requirements.txt"), pins("bentos/requirements.txt")
    assert {name: main[name] for name in bento} == bento
    assert not {"mlflow", "mlflow-skinny", "pycaret", "duckdb", "matplotlib"} & set(bento)


def test_the_cluster_reads_with_the_versions_of_the_main_lock():
    main, cluster = pins("requirements.txt"), pins("requirements-cluster.txt")
    shared = {"duckdb", "numpy", "pandas", "pyarrow", "pydantic"}
    assert {name: cluster[name] for name in shared} == {name: main[name] for name in shared}


def test_mlflow_has_the_same_version_in_the_deployment():
    main, deployed = pins("requirements.txt"), pins("deploy/requirements.txt")
    assert deployed["mlflow"] == main["mlflow"]


def test_make_lock_writes_the_version_of_uv_that_make_setup_installs(tmp_path: Path):
    for name in ("Makefile", "requirements.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".ci").mkdir()
    subprocess.run(["make", ".ci/uv.txt"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".ci/uv.txt").read_text() == (ROOT / ".ci/uv.txt").read_text()


def test_make_installs_the_locked_version_of_uv():
    assert pins(".ci/uv.txt")["uv"] == pins("requirements.txt")["uv"]


def test_the_main_environment_does_not_have_pycaret():
    assert "pycaret" not in pins("requirements-dev.txt")


def test_only_the_search_imports_pycaret_and_it_imports_nothing_of_the_project():
    roots = {file: {name.split(".")[0] for name in imported(file)} for file in PYTHON_FILES}
    search = ROOT / "ratchet/automl/search.py"
    assert [file for file, names in roots.items() if "pycaret" in names] == [search]
    assert not roots[search] & {"ratchet", "steps", "mlflow"}


def test_mlflow_runs_in_the_main_lock():
    environment = yaml.safe_load((ROOT / "python_env.yaml").read_text())
    assert environment == {"python": "3.11", "dependencies": ["-r requirements.txt"]}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


# A package may import the packages in lower rows, but no other package in its own row.
# Every module may import those that are not listed: ratchet/settings.py, report.py, errors.py, ...
LAYERS = """
steps       bentos
site
traffic     automl       packaging   evaluation   promotion   scoring
serving     training     drift      collect
predictions store        profile
model       contract
data
registry
statistics  github
"""
ROWS = [row.split() for row in LAYERS.strip().splitlines()]
LOWEST_ROW = len(ROWS)


def row_of(package: str) -> int:
    return next((number for number, row in enumerate(ROWS) if package in row), LOWEST_ROW)


def package_of(module: str) -> str:
    """Return the package of a module of the project: "ratchet.data.source" lies in "data"."""
    parts = module.split(".")
    return parts[1] if parts[0] == "ratchet" and len(parts) > 1 else parts[0]


def test_every_folder_of_the_library_has_a_row_in_the_layers():
    packages = {
        file.name for file in (ROOT / "ratchet").iterdir() if (file / "__init__.py").exists()
    }
    assert packages == {package for row in ROWS[1:] for package in row}


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_import_only_from_lower_layers(file: Path):
    package = package_of(".".join(file.relative_to(ROOT).with_suffix("").parts))
    others = {package_of(name) for name in imported(file) if name.split(".")[0] in OURS} - {
        "ratchet"
    }
    is_step = file.parent.name == "steps"
    others -= set() if is_step else {package}  # a step never imports another step
    upwards = {other for other in others if row_of(other) <= row_of(package) < LOWEST_ROW}
    assert not upwards
    assert row_of(package) < LOWEST_ROW or all(row_of(other) == LOWEST_ROW for other in others)


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_library_does_not_name_a_step(file: Path):
    if file.relative_to(ROOT).parts[0] == "ratchet":
        assert not re.findall(r"[\"']steps\.[a-z]+", file.read_text())


def test_every_imported_package_is_in_the_requirements():
    names = {name.split(".")[0] for file in PYTHON_FILES for name in imported(file)}
    others = names - set(sys.stdlib_module_names) - OURS - SEARCH_MODULES
    required = (
        {
            canonicalize_name(one.name)
            for lock in ("requirements", "requirements-automl", "requirements-cluster")
            for one in requirements_of(f"{lock}.in")
        }
        | OPTIONAL
        | {"cloudpickle", "imblearn", "py4j"}
    )  # PyCaret's and Spark's own
    owners = packages_distributions()
    missing = {
        name
        for name in others
        if not {canonicalize_name(owner) for owner in owners.get(name, [name])} & required
    }
    assert not missing


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_longer_than_300_lines(file: Path):
    assert len(file.read_text().splitlines()) <= 300


STEP_FILES = [file for file in PYTHON_FILES if (ROOT / "steps") in file.parents]


@pytest.mark.parametrize("file", STEP_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_step_is_a_thin_command_of_at_most_60_lines(file: Path):
    assert len(file.read_text().splitlines()) <= 60


def test_only_the_package_registry_writes_to_the_registry():
    writes = r"\.(create|delete|set|rename|update|transition)_(registered_model|model_version)"
    writers = [file for file in PYTHON_FILES if re.search(writes, file.read_text())]
    assert [file.name for file in writers] == ["lock.py", "registry.py"]
    assert {file.parent for file in writers} == {ROOT / "ratchet/registry"}


def test_the_architecture_page_names_files_that_exist():
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`((?:ratchet|steps|bentos|configs|tests)/[\w./]*)`", page))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    packages = {f"ratchet/{package}/" for row in ROWS[1:] for package in row}
    assert packages <= named


# A docstring is a full sentence, or a noun phrase. It does not start with one of these words.
NO_SENTENCE = re.compile(
    r"(Of|To|In|With|Without|From|By|For|Until|At|On|Where|As|Under|Into|And|Whether|What|Which)\b"
)


def docstrings(file: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)]
    return [ast.get_docstring(node) or "" for node in nodes]


@pytest.mark.parametrize("folder", ["ratchet", "steps", "bentos", "benchmarks", "tests"])
def test_no_docstring_starts_with_a_preposition_or_a_question_word(folder: str):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [
        (str(file.relative_to(ROOT)), text.splitlines()[0])
        for file in files
        for text in docstrings(file)
        if NO_SENTENCE.match(text)
    ]
    assert wrong == []


def test_the_formatter_is_never_switched_off():
    marker = re.compile(r"# *fmt: *(skip|off)")
    files = [
        file
        for folder in ("ratchet", "steps", "bentos", "benchmarks", "tests", "docs")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert [file.name for file in files if marker.search(file.read_text())] == []
