"""The files of deploy/, tested with MLflow's own rendering, Kubernetes' schemas and S3."""

import importlib.util
import json
import re
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from ratchet.environments import python_of
from tests.clusters import new_cluster
from tests.projects import (
    BASELINE,
    REPOSITORY,
    clone,
    free_port,
    new_project,
    process,
    run,
    run_python,
    run_step,
    tracking_server,
)

COMPOSE = yaml.safe_load((REPOSITORY / "deploy/compose.yaml").read_text())["services"]
DIGEST = "sha256:" + "7" * 64

IMAGE = "registry.example.org/team/ratchet:1"

# Docker and the Kubernetes server are mocked. Everything else is MLflow's code.
RENDER = f"""
import json, sys
from unittest import mock
import mlflow

with (
    mock.patch("mlflow.projects.docker.validate_docker_installation"),
    mock.patch("docker.from_env") as docker,
    mock.patch("kubernetes.config.load_kube_config"),
    mock.patch("kubernetes.client.BatchV1Api") as kubernetes,
):
    images = docker.return_value.images
    images.get.side_effect = lambda name: mock.Mock(tags=[name], id="{DIGEST}")
    images.push.return_value = []
    images.get_registry_data.return_value.id = "{DIGEST}"
    mlflow.projects.run(
        "deploy/kubernetes", sys.argv[1], parameters=json.loads(sys.argv[2]), synchronous=False,
        backend="kubernetes", backend_config="deploy/kubernetes/backend.json",
    )
    assert images.push.call_args.kwargs["repository"] == "{IMAGE}"
print(json.dumps(kubernetes.return_value.create_namespaced_job.call_args.kwargs["body"]))
"""


def environment_of(lock: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return python_of(Path(lock))


@pytest.fixture(scope="module")
def mlflow_python() -> Path:
    """Return the interpreter that MLflow's server runs in and that starts jobs."""
    return environment_of("deploy/requirements.txt")


@pytest.fixture(scope="module")
def judges() -> Path:
    """Return the folder of the programs that check deploy/."""
    return environment_of("tests/requirements.txt").parent


def validate(judges: Path, *files: Path) -> None:
    done = run([str(judges / "kubernetes-validate"), "--strict", *map(str, files)], REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def rendered(
    checkout: Path, python: Path, server: str, entry: str, **parameters: str
) -> dict[str, Any]:
    """Return the job that Kubernetes would be asked to start."""
    make = run(["make", "deploy/kubernetes/MLproject", f"IMAGE={IMAGE}"], checkout)
    assert make.returncode == 0, make.stderr
    done = run(
        [str(python), "-c", RENDER, entry, json.dumps(parameters)],
        checkout,
        MLFLOW_TRACKING_URI=server,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def words_of(job: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Return the command that Kubernetes would start, and its variables."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container["command"], {one["name"]: one["value"] for one in container["env"]}


@pytest.mark.slow
def test_a_step_as_a_kubernetes_job_is_valid_and_trains(
    mlflow_python: Path, judges: Path, tmp_path: Path
):
    checkout = clone(tmp_path / "checkout")
    head = run(["git", "rev-parse", "HEAD"], checkout).stdout.strip()
    with tracking_server(tmp_path) as server:
        job = rendered(checkout, mlflow_python, server, "train", config=BASELINE)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"{IMAGE}@{DIGEST}"
        (tmp_path / "job.json").write_text(json.dumps(job))
        validate(judges, tmp_path / "job.json")

        command, env = words_of(job)
        done = run(command, checkout, **env)
        assert done.returncode == 0, done.stderr
        client = mlflow.MlflowClient(server, server)
        (version,) = client.search_model_versions("name = 'iris'")
        assert client.get_run(version.run_id).data.tags["mlflow.source.git.commit"] == head
        assert client.get_run(env["MLFLOW_RUN_ID"]).info.status == "FINISHED"


@pytest.mark.slow
def test_a_job_passes_every_argument_on_unchanged(mlflow_python: Path, tmp_path: Path):
    checkout, store = clone(tmp_path / "checkout"), f"sqlite:///{tmp_path}/store.db"
    arguments = {"action": "it's $HOME; really", "folder": "s3://b/day=1/*.parquet"}
    command, _ = words_of(rendered(checkout, mlflow_python, store, "store", **arguments))
    at = command.index("python")
    echo = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    done = run([*command[:at], *map(shlex.quote, echo), *command[at + 1 :]], checkout)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "-m",
        "steps.store",
        "--action",
        "it's $HOME; really",
        "--folder",
        "s3://b/day=1/*.parquet",
        "--size_limit",
        "true",
        "--force",
        "false",
        "--state",
        "0",
        "--keep",
        "20",
        "--days",
        "30",
        "--to",
        "",
        "--server",
        "",
    ]


@pytest.mark.slow
def test_the_service_of_several_replicas_is_valid(judges: Path):
    validate(judges, REPOSITORY / "deploy/kubernetes/service.yaml")


def test_deployments_name_routes_and_variables_that_exist():
    code = "".join(
        file.read_text()
        for folder in ("ratchet", "bentos")
        for file in (REPOSITORY / folder).rglob("*.py")
    )
    for file in ("kubernetes/service.yaml", "compose.yaml"):
        text = (REPOSITORY / "deploy" / file).read_text()
        named = set(re.findall(r"\b(RATCHET_\w+)", text))
        assert {"RATCHET_LOG_URL", "RATCHET_ADMIN_TOKEN", "RATCHET_LOG_JOURNAL"} <= named
        assert all(f'"{name}"' in code for name in named)
    deployment = next(yaml.safe_load_all((REPOSITORY / "deploy/kubernetes/service.yaml").open()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert probes == {"/livez", "/readyz"}
    assert all(f'"{path}"' in code for path in probes)


def test_a_pod_leaves_the_load_balancer_before_its_service_stops():
    deployment = next(yaml.safe_load_all((REPOSITORY / "deploy/kubernetes/service.yaml").open()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]


def test_an_image_contains_nothing_that_git_ignores():
    ignored = (REPOSITORY / ".gitignore").read_text().split()
    left_out = (REPOSITORY / "deploy/Dockerfile.dockerignore").read_text().split()
    assert left_out == [name if "/" in name.rstrip("/") else f"**/{name}" for name in ignored]


def of_compose(service: str, at: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return its command and variables, with this machine's addresses and any secret."""
    text = json.dumps([COMPOSE[service]["command"], COMPOSE[service]["environment"]])
    text = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)
    text = re.sub(r"\$\{\w+:\?\}", "secret", text)
    for name, address in at.items():
        text = text.replace(name, address)
    command, env = json.loads(text)
    return command, env


@pytest.fixture(scope="module")
def storage(judges: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    command = [str(judges / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with process(command, tmp_path_factory.mktemp("s3"), port):
        yield f"localhost:{port}"


@pytest.mark.slow
def test_a_trained_model_is_stored_in_the_bucket_and_loads_from_there(
    mlflow_python: Path, storage: str, tmp_path: Path
):
    """Use the commands and variables of compose.yaml; the client cannot use S3 itself."""
    assert importlib.util.find_spec("boto3") is None
    port = free_port()
    with new_cluster() as cluster:
        cluster.create("mlflow")
        at = {
            "storage:8333": storage,
            "postgresql:5432": f"localhost:{cluster.port}",
            "5000": str(port),
        }
        (_, *code), env = of_compose("bucket", at)
        for _ in range(2):
            done = run([str(mlflow_python), *code], tmp_path, **env)
            assert done.returncode == 0, done.stderr
        (_, *arguments), env = of_compose("mlflow", at)
        server = [str(mlflow_python.with_name("mlflow")), *arguments]
        with process(server, tmp_path, port, **env):
            address = f"http://localhost:{port}"
            _the_line_is_stored(new_project(tmp_path / "project"), address, storage)
            assert status_of(address, host="mlflow:5000") == 200
            assert status_of(address, host="elsewhere.example.org") == 403


def _the_line_is_stored(project: Path, address: str, storage: str) -> None:
    for step, arguments in {"train": {"config": BASELINE}, "evaluate": {}}.items():
        done = run_step(project, step, {"MLFLOW_TRACKING_URI": address}, **arguments)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in project.iterdir()) == ["MLproject", "configs", "reports"]
    with urllib.request.urlopen(f"http://{storage}/mlflow?list-type=2") as listed:
        keys = re.findall(r"<Key>(.*?)</Key>", listed.read().decode())
    assert any(key.endswith("/MLmodel") for key in keys)
    assert any(key.endswith("/profile/profile.json") for key in keys)
    load = (
        "import mlflow.pyfunc; from ratchet.data.source import read\n"
        "from ratchet.settings import DataSettings\n"
        "data = read(DataSettings(source='iris', target='target'))\n"
        "model = mlflow.pyfunc.load_model('models:/iris@prod')\n"
        "print((model.predict(data.drop(columns='target')) == data['target']).mean())"
    )
    loaded = run_python(["-c", load], project, MLFLOW_TRACKING_URI=address)
    assert float(loaded.stdout) > 0.9, loaded.stderr


def status_of(address: str, host: str) -> int:
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
