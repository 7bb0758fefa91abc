"""The commands in README, CONTRIBUTING and docs/: each is run, or a row of HOW says why not.

A shell runs each block unchanged, in a clone with two versions and a service that `make serve` has
started. A command in a sentence is checked as far as it is written there.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ratchet.data.split import load_split
from ratchet.entry import arguments
from ratchet.settings import DataSettings
from tests.projects import REPOSITORY, clone, free_port, process, run, run_step
from tests.services import Service, move

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
ENTRIES = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]
FORMS = {
    "<entry>": "train",
    "<any>": "train",
    "name=value": "force=true",
    "--name value": "",
    "<tag>": "ratchet:latest",
    "<word>": "take",
    "--help": "",
}
SERVE = ["make", "serve"]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.M | re.S)
FENCED = re.compile(r"^```.*?^```", re.M | re.S)
SPAN = re.compile(r"`((?:mlflow [a-z]+|make|python -m|bentoml|pytest|curl|\.ci/run)(?: [^`]*)?)`")
PARAMETER = re.compile(r"-P (\w+)=")


class Clone(NamedTuple):
    folder: Path
    service: Service


class Command(NamedTuple):
    text: str
    page: str
    in_block: bool


def commands() -> Iterator[Command]:
    for page in PAGES:
        text, name = page.read_text(), page.name
        for block in BLOCK.findall(text):
            yield from (Command(one, name, True) for one in logical_lines(block))
        yield from (Command(one, name, False) for one in SPAN.findall(FENCED.sub("", text)))


def logical_lines(block: str) -> Iterator[str]:
    """Yield each line together with the following ones until its quotes are closed."""
    logical = ""
    for line in block.splitlines():
        logical += line
        try:
            words = shlex.split(logical, comments=True)
        except ValueError:
            logical += "\n"
            continue
        if words:
            yield logical
        logical = ""
    assert not logical, f"a quote stays open: {logical}"


def words_of(command: str) -> list[str]:
    for form, filled in FORMS.items():
        command = command.replace(form, filled)
    return shlex.split(command.replace("\\\n", " "), comments=True)


def runs(command: str, clone: Clone) -> None:
    """Run the command in a shell, without `make setup`: the tests' environment takes its place."""
    text = re.sub(r"^make ", "make -o setup ", command)
    text = text.replace("localhost:3000", clone.service.address.removeprefix("http://"))
    done = run(["bash", "-c", text], clone.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def asks(command: str, clone: Clone) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is missing")
    runs(f"{command} --silent --show-error --fail", clone)


def serves(command: str, clone: Clone) -> None:
    """Check that the fixture started the service with this command."""
    assert words_of(command) == SERVE
    assert clone.service.get("/ab")[0] == 200


def parses(command: str) -> None:
    """Check the entry, its parameters and their types, and mlflow's own options."""
    words = words_of(command)
    if words[0].endswith("mlflow"):
        from mlflow.cli import cli

        options = cli.commands["run"].make_context("run", words[2:]).params
        step, pairs = options["entry_point"], [one.split("=", 1) for one in options["param_list"]]
        words_of_step = [word for name, value in pairs for word in (f"--{name}", value)]
    else:
        step, words_of_step = words[2].removeprefix("steps."), words[3:]
    arguments(step, import_module(f"steps.{step}").main, words_of_step)


def is_a_target(command: str) -> None:
    done = run(["make", "--dry-run", *words_of(command)[1:]], REPOSITORY)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        if line.startswith(("mlflow run", "python -m steps")):
            parses(line)
        elif line.startswith("python -m benchmarks"):
            is_a_benchmark(line)


def is_a_benchmark(command: str) -> None:
    assert (REPOSITORY / f"{words_of(command)[2].replace('.', '/')}.py").is_file()


def has_its_options(command: str) -> None:
    tool, name, *options = words_of(command)
    if tool == "mlflow":
        from mlflow.cli import cli as tools
    else:
        from bentoml_cli.cli import create_bentoml_cli

        tools = create_bentoml_cli()
    if name == "models":
        tools, name = tools.commands[name], options.pop(0)
    tools.commands[name].make_context(name, options, resilient_parsing=not options)


def collects(command: str) -> None:
    done = run([*words_of(command), "--collect-only", "-q"], REPOSITORY)
    assert done.returncode == 0, done.stdout


def names_a_variable(command: str) -> None:
    assert re.match(r"export (MLFLOW_TRACKING_URI|RATCHET_\w+|IMAGE)=\S", command)


def names_files(command: str) -> None:
    files = [word for word in words_of(command) if word.startswith(("deploy/", "requirements"))]
    assert [file for file in files if not (REPOSITORY / file).is_file()] == []


def asks_a_route(command: str) -> None:
    from ratchet.serving import routes

    (address,) = [word for word in words_of(command) if word.startswith("localhost:3000/")]
    path = address.removeprefix("localhost:3000").partition("?")[0]
    assert f'"{path}"' in Path(routes.__file__).read_text()


def is_a_program(command: str) -> None:
    assert shutil.which(str(REPOSITORY / command))


class Row(NamedTuple):
    pattern: str
    how: Callable[..., None]
    why: str = ""  # why the command is not run here


HOW_A_BLOCK = [
    Row(r"mlflow run ", runs),
    Row(r"make (rollback|history)\b", runs),
    Row(r"make serve", serves),
    Row(r"make bento", is_a_target, "test_packaging_bento.py builds one and serves it"),
    Row(r"make run", is_a_target, "test_line.py runs what it calls"),
    Row(r"make (setup|check|test|bench)\b", is_a_target, "CI runs them; this is a part of one"),
    Row(r"make screenshots", is_a_target, "the line and a browser: minutes; run by hand"),
    Row(r"make deploy/", is_a_target, "test_deploy.py has it made"),
    Row(r"\.ratchet/jobs/bin/mlflow run ", parses, "no cluster; test_deploy.py renders the job"),
    Row(r"docker |kubectl ", names_files, "no Docker, no cluster; test_deploy.py reads the files"),
    Row(r"uv |dask worker ", names_files, "other machines; test_profile_cluster.py has workers"),
    Row(r"bentoml export ", has_its_options, "no Bento"),
    Row(r"curl localhost:3000", asks),
    Row(r"mlflow server ", has_its_options, "no such host; test_tracking_server.py starts one"),
    Row(r"export ", names_a_variable, "no such host"),
    Row(r"python -m steps.store ", parses, "no such host; test_store_state.py has its own"),
]
HOW_A_SPAN = [
    Row(r"mlflow run |python -m steps\.", parses),
    Row(r"make ", is_a_target),
    Row(r"python -m benchmarks\.", is_a_benchmark),
    Row(r"mlflow (server|models)|bentoml ", has_its_options),
    Row(r"pytest ", collects),
    Row(r"curl ", asks_a_route, "no service; tests of the route ask it"),
    Row(r"\.ci/run", is_a_program),
]


def row_of(command: Command) -> Row | None:
    rows = HOW_A_BLOCK if command.in_block else HOW_A_SPAN
    return next((row for row in rows if re.match(row.pattern, command.text)), None)


def cases() -> Iterator[object]:
    for command in dict.fromkeys(commands()):
        row = row_of(command)
        marks = [pytest.mark.slow] if row and row.how in (runs, asks, serves, collects) else []
        yield pytest.param(command, marks=marks, id=f"{command.page}: {command.text[:70]}")


@pytest.fixture(scope="module")
def served_clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Serve a clone: prod is v1, staging is v2, and 200 requests are answered and labelled."""
    tree = clone(tmp_path_factory.mktemp("documented") / "clone")
    for file in (tree / "configs/models").iterdir():
        if file.name not in ("baseline.yaml", "neighbours.json"):
            file.unlink()
    done = run_step(tree, "train", config="configs/models")
    assert done.returncode == 0, done.stderr
    move(tree, prod="1", staging="2")
    features, _ = load_split(DataSettings(source="iris", target="target")).train
    features.to_parquet(tree / "today.parquet")
    port = free_port()
    service = Service(f"http://localhost:{port}", None)
    env = {"BENTOML_PORT": str(port), "BENTOML_HOME": str(tree.parent / "bentoml")}
    with process([*SERVE, "-o", "setup"], tree, port, **env):
        service.until(lambda: service.get("/readyz")[0] == 200)
        done = run_step(tree, "traffic", url=service.address, requests="200")
        assert done.returncode == 0, done.stderr
        yield Clone(tree, service)


@pytest.mark.filterwarnings("ignore:The parameter .* is used more than once")  # BentoML's own
@pytest.mark.parametrize("command", list(cases()))
def test_every_documented_command(command: Command, request: pytest.FixtureRequest):
    row = row_of(command)
    assert row, f"{command.page} names '{command.text}', and no row of HOW says how to try it"
    if row.how in (runs, asks, serves):
        row.how(command.text, request.getfixturevalue("served_clone"))
    else:
        row.how(command.text)


def test_every_row_is_needed():
    matched = {row_of(command) for command in commands()}
    assert [row for row in (*HOW_A_BLOCK, *HOW_A_SPAN) if row not in matched] == []


def test_every_documented_parameter_exists():
    named = {name for page in PAGES for name in PARAMETER.findall(page.read_text())}
    known = {name for entry in ENTRIES.values() for name in entry["parameters"]}
    assert named - known == {"name"}
