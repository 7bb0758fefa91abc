"""Workflows that act really runs, against a repository on the disk.

tests/actions replaces third-party actions; everything else is what GitHub would run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import warm
from tests.github import GitHub
from tests.projects import REPOSITORY, run
from tests.stores import new_remote

ACT = shutil.which("act") or shutil.which(str(REPOSITORY / ".ratchet/bin/act"))
MISSING = "act is not installed: make tools (needs Go)"
GITHUB_URL = "https://github.com/me/ratchet"


@dataclass(frozen=True)
class Acted:
    """A finished run of act, read from its JSON output."""

    code: int
    lines: list[dict[str, Any]]
    output: str

    @property
    def jobs(self) -> dict[str, str]:
        """Return the result of each job that ran; act prints nothing about skipped jobs."""
        return {one["jobID"]: one["jobResult"] for one in self.lines if "jobResult" in one}

    def steps(self, job: str) -> dict[str, str]:
        """Return the result of each step of a job by its name, or by the first line of its run."""
        return {_name(one): one["stepResult"] for one in self._ended(job)}

    def seconds(self, job: str) -> dict[str, float]:
        return {
            f"{_name(one)} {number}": one["executionTime"] / 1e9
            for number, one in enumerate(self._ended(job))
            if "executionTime" in one
        }

    def _ended(self, job: str) -> list[dict[str, Any]]:
        """Return the job's own steps, without those inside its composite actions."""
        return [
            one
            for one in self.lines
            if one.get("jobID") == job
            and one.get("stage") == "Main"
            and "stepResult" in one
            and len(one.get("stepID", ())) == 1
        ]

    def outputs(self, job: str) -> dict[str, str]:
        return {
            one["name"]: one["arg"]
            for one in self.lines
            if one.get("jobID") == job and one.get("command") == "set-output"
        }

    @property
    def summary(self) -> str:
        return "\n".join(one["content"] for one in self.lines if one.get("command") == "summary")


def _name(step: dict[str, Any]) -> str:
    return str(step["step"].splitlines()[0])


@dataclass(frozen=True)
class Fork:
    """A fork of this repository, whose workflows run on this machine."""

    folder: Path
    github: GitHub

    @property
    def remote(self) -> Path:
        return self.folder / "ratchet.git"

    def copy(self, folder: Path, github: GitHub) -> "Fork":
        folder.mkdir()
        shutil.copytree(self.remote, folder / "ratchet.git")
        return Fork(folder, github)

    def checkout(self, name: str, branch: str = "main") -> Path:
        where = self.folder / name
        run(["git", "clone", "--quiet", "--branch", branch, str(self.remote), name], self.folder)
        settings = {"user.name": "Test", "user.email": "test@example.com"}
        for key, value in (settings | {"remote.origin.url": GITHUB_URL}).items():
            run(["git", "config", key, value], where)
        return where

    def push(self, tree: Path, message: str, branch: str = "main") -> None:
        to = ["push", "--quiet", str(self.remote), f"HEAD:refs/heads/{branch}"]
        for command in (["add", "--all"], ["commit", "--quiet", "--message", message], to):
            done = run(["git", *command], tree)
            assert done.returncode == 0, done.stderr

    def git_settings(self) -> Path:
        """Write git settings that replace GitHub's address by the repository on this disk."""
        file = self.folder / "gitconfig"
        file.write_text(f'[url "{self.remote}"]\n\tinsteadOf = {GITHUB_URL}\n')
        return file

    def act(self, event: str, workflow: str, tree: Path, *arguments: Any, **more: Any) -> Acted:
        """Call `start` with these arguments, and wait for the end."""
        started = self.start(event, workflow, tree, *arguments, **more)
        output, errors = started.communicate()
        lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        messages = "\n".join(one.get("msg", "").rstrip() for one in lines)
        return Acted(started.returncode, lines, f"{messages}\n{errors}")

    def start(
        self,
        event: str,
        workflow: str,
        tree: Path,
        payload: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        job: str = "",
        **env: str,
    ) -> "subprocess.Popen[str]":
        """Start a workflow, or only `job` and the jobs that it needs."""
        assert ACT is not None, MISSING
        known = {
            "ref": "refs/heads/main",
            "repository": {
                "full_name": "me/ratchet",
                "default_branch": "main",
                "visibility": "public",
            },
        }
        content = known | dict(payload or {}) | ({"inputs": dict(inputs)} if inputs else {})
        events = tree.parent / f"{tree.name}-{event}.json"
        events.write_text(json.dumps(content))
        settings = {
            "GITHUB_API_URL": self.github.address,
            "UPLOADED": str(self.folder / "uploaded"),
            "BENTOML_HOME": str(self.folder / "bentoml"),
            "WARM_ENVIRONMENT": sys.prefix,
            "WARM_ADDRESS": warm.address(),
            "WARM_PYTHON": str(REPOSITORY / "tests/forking.py"),
            "WARM_STATE": str(REPOSITORY / ".ratchet"),
            "GIT_CONFIG_GLOBAL": str(self.git_settings()),
            **env,
        }
        (self.folder / "uploaded").mkdir(exist_ok=True)
        known_secrets = {"GITHUB_TOKEN": "a-token", **(secrets or {})}
        command = [ACT, event, "--workflows", f".github/workflows/{workflow}.yml", "--json"]
        command += ["--job", job] if job else []
        command += ["--platform", "ubuntu-latest=-self-hosted", "--eventpath", str(events)]
        command += [f"--local-repository={name}={stub}" for name, stub in stubs().items()]
        command += [f"--env={key}={value}" for key, value in settings.items()]
        command += [f"--secret={key}={value}" for key, value in known_secrets.items()]
        command += [f"--var={key}={value}" for key, value in (variables or {}).items()]
        return subprocess.Popen(
            command,
            cwd=tree,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=bare_environment(tree.parent / f"{tree.name}-cache"),
        )


def bare_environment(cache: Path) -> dict[str, str]:
    """Return the environment of a fresh machine, because act passes its own on to the steps."""
    reaching = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_", "SSL_CERT_", "UV_")  # packages
    kept = {key: value for key, value in os.environ.items() if key.upper().startswith(reaching)}
    programs = (str(REPOSITORY / "tests/programs"), str(Path(sys.executable).parent))
    path = os.pathsep.join((*programs, os.environ["PATH"]))
    known = {"HOME": os.environ["HOME"], "LANG": os.environ.get("LANG", "C.UTF-8"), "PATH": path}
    known |= {"UV_CACHE_DIR": str(Path.home() / ".cache" / "uv")} | kept
    return known | {"XDG_CACHE_HOME": str(cache), "GIT_PAGER": "cat"}  # act's working folder


def stubs() -> dict[str, Path]:
    """Return the stand-in of each third-party action, by its pinned name."""
    pinned = {name for file in definitions() for name in third_party(file)}
    return {repository(name): stub(repository(name)) for name in pinned}


def repository(pinned: str) -> str:
    """Leave out the folder of an action that is not at the top of its repository.

    >>> repository("actions/cache/restore@27d5")
    'actions/cache@27d5'
    """
    name, _, commit = pinned.partition("@")
    return f"{'/'.join(name.split('/')[:2])}@{commit}"


def stub(pinned: str) -> Path:
    return REPOSITORY / "tests" / "actions" / pinned.split("@")[0].split("/")[1]


def definitions() -> list[Path]:
    folder = REPOSITORY / ".github"
    return sorted([*folder.glob("workflows/*.yml"), *folder.glob("actions/*/action.yml")])


def third_party(file: Path) -> list[str]:
    return re.findall(r"^\s*(?:- )?uses: ([\w.-]+/[\w./-]+@\w+)", file.read_text(), re.M)


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(
        (REPOSITORY / f".github/workflows/{name}.yml").read_text()
    )
    return loaded


def new_fork(folder: Path, github: GitHub, settings: Mapping[str, Any] | None = None) -> Fork:
    """Fork this repository's last commit, with one model config to save time."""
    new_remote(folder / "ratchet.git")
    run(["git", "symbolic-ref", "HEAD", "refs/heads/main"], folder / "ratchet.git")
    # CI has a shallow clone. Only for this push: with this setting, git 2.39 fails to delete refs.
    shallow = ["git", "config", "receive.shallowUpdate"]
    run([*shallow, "true"], folder / "ratchet.git")
    pushed = run(
        ["git", "push", "--quiet", str(folder / "ratchet.git"), "HEAD:refs/heads/main"], REPOSITORY
    )
    assert pushed.returncode == 0, pushed.stderr
    run([*shallow, "false"], folder / "ratchet.git")
    fork = Fork(folder, github)
    tree = fork.checkout("configs")
    for file in (tree / "configs" / "models").iterdir():
        if file.name != "baseline.yaml":
            file.unlink()
    project = tree / "configs" / "project.yaml"
    known = yaml.safe_load(project.read_text())
    project.write_text(yaml.safe_dump(known | dict(settings or {})))
    fork.push(tree, "Our models")
    return fork
